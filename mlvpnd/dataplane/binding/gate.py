"""The checks of datagrams that the engine leaves to Python, with the engine's key, role and flows."""

from __future__ import annotations

from mlvpnd.dataplane import _native
from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.protocol.links.gate import Gate
from mlvpnd.protocol.links.session import SessionParameters
from mlvpnd.protocol.wire.box import KEY_SIZE, Box
from mlvpnd.protocol.wire.constants import MAC_SIZE
from mlvpnd.protocol.wire.replay import FlowTable

from .flows import NativeFlowTable
from .structs import field


class NativeBox(Box):
    """The engine's box, for what Python looks at. The engine seals by itself."""

    def __init__(self, engine: _native.Engine, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes, not {len(key)}")
        self._engine = engine
        ffi.buffer(engine.key)[:] = key

    @property
    def key(self) -> bytes:
        return bytes(self._engine.key)

    def open(self, box: bytes, flow_id: int, seq: int) -> bytes | None:
        if len(box) < MAC_SIZE:
            return None
        nonce, copy = ffi.new("uint8_t[]", lib.WIRE_NONCE_SIZE), ffi.new("uint8_t[]", len(box))
        lib.wire_nonce(flow_id, seq, nonce)
        ffi.buffer(copy)[:] = box
        text, size = ffi.addressof(copy, MAC_SIZE), len(box) - MAC_SIZE
        return bytes(ffi.buffer(text, size)) if lib.box_open(text, size, nonce, self._engine.key) else None


class NativeGate(Gate):
    """A gate whose parameters are those of the engine."""

    is_server: bool = field("is_server")
    cleartext_data: bool = field("cleartext_data")

    def __init__(self, engine: _native.Engine, of: SessionParameters) -> None:
        self.struct = engine
        super().__init__(of.key, is_server=of.is_server, layer2=of.layer2, cleartext_data=of.cleartext_data)

    def _make_box(self, key: bytes) -> Box:
        return NativeBox(self.struct, key)

    def _make_flows(self) -> FlowTable:
        return NativeFlowTable(self.struct)
