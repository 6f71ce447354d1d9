"""What cffi must know of the native twin: the structs, enums and functions of its headers, in an order that compiles.

`setup.py` builds `mlvpnd.dataplane._native` from it: `lib` has the functions, `ffi` the types. So a header is the one
place where a C function or a field is declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

NATIVE = Path(__file__).resolve().parent
ONLY_FOR_C = {"offload/vnet.h", "sending/paced_parts.h"}
"""Headers with short names, which only single .c files include."""

SYSTEM = """
typedef int... socklen_t;
struct in_addr {...;};
struct in6_addr {...;};
struct sockaddr { unsigned short sa_family; ...; };
struct sockaddr_in { unsigned short sin_family, sin_port; struct in_addr sin_addr; ...; };
struct sockaddr_in6 {
    unsigned short sin6_family, sin6_port;
    uint32_t sin6_flowinfo, sin6_scope_id;
    struct in6_addr sin6_addr;
    ...;
};
struct iovec { void *iov_base; size_t iov_len; };
"""
"""What the headers take from those of the system."""
LIBSODIUM = "int sodium_init(void);"

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)
_DIRECTIVE = re.compile(r"^#(?:.*\\\n)*.*$", re.MULTILINE)
_BODY = re.compile(r"^static inline ([^;{]*?) \{\n.*?^\}$", re.DOTALL | re.MULTILINE)
_CONSTANT = re.compile(r"^static const (?:[^;{]*;|.*?^\};)$", re.DOTALL | re.MULTILINE)
_INT128 = re.compile(r"^ *weighted_time \w+;", re.MULTILINE)


def headers() -> list[str]:
    """All headers that are declared, each behind those that it includes."""
    found: dict[str, None] = {}

    def add(name: str) -> None:
        if name not in found and name not in ONLY_FOR_C:
            for included in _INCLUDE.findall((NATIVE / name).read_text()):
                add(included)
            found[name] = None

    for path in sorted(NATIVE.glob("*/*.h")):
        add(str(path.relative_to(NATIVE)))
    return list(found)


def _declarations(header: str) -> Iterator[str]:
    text = _DIRECTIVE.sub("", _COMMENT.sub("", (NATIVE / header).read_text()))
    text = _CONSTANT.sub("", _BODY.sub(r"\1;", text))
    text = text.replace("__extension__ typedef __int128 weighted_time;", "")
    yield _INT128.sub("    ...;", text)  # cffi has no such integer: the fields of this type come last, and stay hidden


def declarations() -> str:
    """The text for `FFI.cdef`."""
    return SYSTEM + LIBSODIUM + "".join(part for header in headers() for part in _declarations(header))


def source() -> str:
    """The C text that includes all that is declared."""
    return "".join(f'#include "{header}"\n' for header in headers()) + "#include <sodium.h>\n"
