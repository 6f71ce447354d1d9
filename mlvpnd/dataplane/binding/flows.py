"""The peer's flows: their windows, and the index by which the engine refuses datagrams."""

from __future__ import annotations

from mlvpnd.dataplane import _native
from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.protocol.wire.constants import CLEAR_WINDOW_SIZE, MAX_FLOWS
from mlvpnd.protocol.wire.replay import ClearWindow, FlowTable, PeerFlow, ReplayWindow

from .structs import field, link_name, link_number, pointer

_WORD = 64


class NativeReplayWindow(ReplayWindow):
    """The window of a flow."""

    __slots__ = ("_window", "struct")
    newest: int = field("window.newest")

    def __init__(self, flow: _native.PeerFlow) -> None:
        self.struct = flow
        self._window = pointer(flow, "window")

    @property
    def seen(self) -> int:
        words = ffi.new("uint64_t[]", lib.REPLAY_WORDS)
        lib.replay_seen(self._window, words)
        return sum(word << _WORD * at for at, word in enumerate(words))

    def may_accept(self, seq: int) -> bool:
        return lib.replay_may_accept(self._window, seq)

    def accept(self, seq: int) -> bool:
        return lib.replay_accept(self._window, seq)


class NativeClearWindow(ClearWindow):
    """A flow's window for clear DATA."""

    __slots__ = ("_clear", "struct")

    def __init__(self, flow: _native.PeerFlow) -> None:
        self.struct = flow
        self._clear = pointer(flow, "clear")

    @property
    def base(self) -> int:
        return self.struct.clear.base

    @property
    def seen(self) -> bytes:
        octets = ffi.new("uint8_t[]", self.struct.clear.size // 8)
        lib.clear_seen(self._clear, octets)
        return bytes(octets)

    def accept(self, seq: int) -> bool:
        return lib.clear_accept(self._clear, seq)


class NativePeerFlow(PeerFlow):
    """A flow, which stays where it is in memory."""

    __slots__ = ("_clear_window", "struct", "window")
    flow_id: int = field("flow_id")
    ousted: bool = field("ousted")
    insistent: bool = field("insistent")

    def __init__(self, flow_id: int, link: str, seq: int) -> None:
        self.struct = ffi.gc(ffi.new("struct peer_flow *"), lib.peer_flow_end)
        lib.peer_flow_begin(self.struct, flow_id, link_number(link), seq)
        self.window = NativeReplayWindow(self.struct)
        self._clear_window = NativeClearWindow(self.struct)

    @property
    def link(self) -> str:
        """Where it was introduced last."""
        return link_name(self.struct.link)

    @link.setter
    def link(self, name: str) -> None:
        self.struct.link = link_number(name)

    @property
    def clear(self) -> ClearWindow | None:
        return self._clear_window if self.struct.has_clear else None

    def restore(self, newest: int, seen: int) -> None:
        words = [seen >> _WORD * at & (1 << _WORD) - 1 for at in range(lib.REPLAY_WORDS)]
        lib.replay_restore(pointer(self.struct, "window"), newest, ffi.new("uint64_t[]", words))

    def restore_clear(self, base: int, octets: bytes) -> None:
        if base < 0 or base % 8 or 8 * len(octets) > CLEAR_WINDOW_SIZE:
            raise ValueError("no such clear window")
        if not lib.peer_flow_restore_clear(self.struct, base, octets, len(octets)):
            raise MemoryError


class NativeFlowTable(FlowTable):
    """A flow table that the engine can look into."""

    def __init__(self, engine: _native.Engine, limit: int = MAX_FLOWS) -> None:
        super().__init__(limit)
        self._engine = engine
        self._index = pointer(engine, "flows")

    def restore(self, flow_id: int, link: str, seq: int) -> PeerFlow:
        flow = NativePeerFlow(flow_id, link, seq)
        self._put(flow_id, flow.struct)
        self._flows[flow_id] = flow
        return flow

    def _put(self, flow_id: int, flow: _native.PeerFlow) -> None:
        if not lib.flow_index_put(self._index, flow_id, flow):
            raise MemoryError

    def _forget(self, flow_id: int) -> None:
        lib.flow_index_forget(self._index, flow_id)
        super()._forget(flow_id)

    def add_own(self, flow_id: int) -> None:
        super().add_own(flow_id)
        self._put(flow_id, ffi.NULL)
