from __future__ import annotations

import inspect

from mlvpnd.dataplane import _native
from tools import make_native_stub


def test_the_stub_is_what_the_module_has() -> None:
    """`make check` asks the same; this test finds by name what differs."""
    assert make_native_stub.text(_native.ffi, _native.lib) == make_native_stub.STUB.read_text()


def test_pointers_structs_and_arrays_have_types() -> None:
    text = make_native_stub.STUB.read_text()
    for line in (
        "class ReplayWindow(Struct):",
        "    newest: int",
        "    bits: Array[int]",
        "    def replay_accept(a0: ReplayWindow | Array[ReplayWindow], a1: int, /) -> bool: ...",
        "    def loop_now() -> float: ...",
        "    ENGINE_SLOW: int",
    ):
        assert line in text.splitlines(), line


def test_no_function_is_left_out() -> None:
    text = make_native_stub.STUB.read_text()
    functions = [name for name in dir(_native.lib) if inspect.isbuiltin(getattr(_native.lib, name))]
    assert len(functions) > 100
    assert all(f"    def {name}(" in text for name in functions)
