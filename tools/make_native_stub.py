"""Writes `mlvpnd/dataplane/_native.pyi`: the types of the native twin's module, for type checkers.

    python tools/make_native_stub.py           # writes it
    python tools/make_native_stub.py --check   # exit status 1 if the file is not what would be written

It reads the built module, so build the module first. Constants of `generated.h` are left out, because they stand in
Python. A pointer to a struct has the type of the struct: cffi gives the same attributes to both.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlvpnd.dataplane import _native

MODULES = Path(__file__).resolve().parents[1] / "mlvpnd"
STUB = MODULES / "dataplane" / "_native.pyi"
_HEAD = '''"""Written by tools/make_native_stub.py from the headers in `mlvpnd/native`."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, Self, TypeVar, overload

_T = TypeVar("_T")

class CData:
    """Data of C; false: NULL."""
    def __bool__(self) -> bool: ...
    def __sub__(self, items: int, /) -> Self: ...

class Struct(CData):
    """A struct, or a pointer to one or several."""
    def __getitem__(self, at: int, /) -> Self: ...

class Array(CData, Generic[_T]):
    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> _T: ...
    def __setitem__(self, at: int, value: _T, /) -> None: ...
    def __iter__(self) -> Iterator[_T]: ...
'''
_ARRAYS = dict.fromkeys(("uint8_t", "uint32_t", "int32_t", "int64_t", "uint64_t"), "int")
_ARRAYS |= {"void *": "CData"}
_ARRAYS |= {f"struct {name} *": name.capitalize() for name in ("address", "transit")}


def _name(struct: str) -> str:
    return "".join(word.capitalize() for word in struct.split("_"))


def _type(kind: Any, *, given: bool = False) -> str:
    """The type of a field or result; if `given`, of an argument."""
    if kind.kind == "primitive":
        return {"_Bool": "bool", "double": "float"}.get(kind.cname, "int")
    if kind.kind in ("enum", "void"):
        return "int" if kind.kind == "enum" else "None"
    if kind.kind in ("struct", "union"):
        return _name(kind.cname.split()[-1])
    if kind.kind == "function":
        return "CData"
    item = kind.item
    if item.kind == "struct" and kind.kind == "pointer":
        return f"{_type(item)} | Array[{_type(item)}]" if given else _type(item)  # of several structs, it is the first
    if item.kind in ("void", "function"):
        return "CData | bytes" if given and item.kind == "void" else "CData"
    array = f"Array[{_type(item)}]"
    return f"{array} | bytes" if given and item.cname == "uint8_t" else array


def _fields(kind: Any) -> Iterator[tuple[str, Any]]:
    for name, field in kind.fields or ():
        if name:
            yield name, field.type
        else:  # the fields of an anonymous union or struct
            yield from _fields(field.type)


def _structs(ffi: Any) -> Iterator[str]:
    for name in ffi.list_types()[1]:
        yield f"class {_name(name)}(Struct):"
        fields = [(field, kind) for field, kind in _fields(ffi.typeof(f"struct {name}")) if "$" not in kind.cname]
        yield from (f"    {field}: {_type(kind)}" for field, kind in fields)
        yield "" if fields else "    ..."


def _lib(ffi: Any, lib: Any) -> Iterator[str]:
    generated = set(re.findall(r"\w+", (MODULES / "native" / "generated.h").read_text()))
    yield "class lib:"
    for name in sorted(dir(lib)):
        value = getattr(lib, name)
        if isinstance(value, int):
            if name not in generated:
                yield f"    {name}: int"
            continue
        kind = ffi.typeof(value)
        arguments = "".join(f"a{at}: {_type(one, given=True)}, " for at, one in enumerate(kind.args))
        yield "    @staticmethod"
        yield f"    def {name}({arguments}{'/' if arguments else ''}) -> {_type(kind.result)}: ..."


def _ffi(ffi: Any) -> Iterator[str]:
    yield "class ffi:"
    yield "    NULL: Any"
    made = [(f"struct {name} *", _name(name)) for name in ffi.list_types()[1]]
    made += [(f"struct {name}[]", f"Array[{_name(name)}]") for name in ffi.list_types()[1]]
    made += [(f"{name}[]", f"Array[{kind}]") for name, kind in _ARRAYS.items()]
    made += [(f"{name} *", f"Array[{kind}]") for name, kind in _ARRAYS.items()]
    for text, kind in made:
        yield "    @overload"
        yield "    @staticmethod"
        yield f'    def new(kind: Literal["{text}"], value: object = ..., /) -> {kind}: ...'
    yield "    @staticmethod"
    yield "    def gc(data: _T, destructor: Callable[[_T], object], size: int = ..., /) -> _T: ..."
    yield "    @staticmethod"
    yield "    def addressof(data: CData, *fields: str | int) -> Any: ..."
    yield "    @staticmethod"
    yield "    def buffer(data: CData, size: int = ..., /) -> memoryview: ..."
    yield "    @staticmethod"
    yield "    def cast(kind: str, value: CData | int, /) -> CData: ..."
    yield "    @staticmethod"
    yield "    def sizeof(kind: str | CData, /) -> int: ..."


def text(ffi: Any, lib: Any) -> str:
    """The stub."""
    lines = [_HEAD, *_structs(ffi), *_lib(ffi, lib), "", *_ffi(ffi)]
    command = [str(Path(sys.executable).with_name("ruff")), "format", "--stdin-filename", str(STUB), "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", text=True, capture_output=True, check=True)
    return str(done.stdout)


def main() -> int:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="only say whether the file is up to date")
    made = text(_native.ffi, _native.lib)
    if parser.parse_args().check:
        if STUB.read_text() == made:
            return 0
        print(f"{STUB.name} is not what the headers say: build, and run tools/make_native_stub.py", file=sys.stderr)
        return 1
    STUB.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
