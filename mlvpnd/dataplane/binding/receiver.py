"""The way in of packets that the gate has admitted."""

from __future__ import annotations

from mlvpnd.dataplane import _native
from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.protocol.links.gate import Admitted
from mlvpnd.protocol.links.path import Path
from mlvpnd.protocol.receiving.receiver import Receiver
from mlvpnd.protocol.receiving.reorder import ReorderBuffer
from mlvpnd.protocol.wire.replay import PeerFlow
from mlvpnd.protocol.wire.wire import Header

from .flows import NativePeerFlow
from .path import struct_of
from .structs import field, new_list, packet_of, pointer, take_packets


class NativeReorderBuffer(ReorderBuffer):
    """What an operator sees of the reorder buffer."""

    __slots__ = ("struct",)
    size: int = field("size")
    wait: float = field("wait")
    late: int = field("late")
    timeouts: int = field("timeouts")
    duplicates: int = field("duplicates")

    def __init__(self, buffer: _native.ReorderBuffer) -> None:
        self.struct = buffer

    def __len__(self) -> int:
        return self.struct.held


def _flow_struct(flow: PeerFlow) -> _native.PeerFlow:
    if not isinstance(flow, NativePeerFlow):
        raise TypeError("a native session has native flows")
    return flow.struct


class NativeReceiver(Receiver):
    """The engine's receiver."""

    def __init__(self, engine: _native.Engine, reorder_size: int, *, takes_first: bool) -> None:
        self._engine = engine
        self.struct: _native.Receiver = pointer(engine, "receiver")
        self.takes_first = takes_first
        self.resize(reorder_size)

    @property
    def reorder(self) -> ReorderBuffer | None:
        return NativeReorderBuffer(self.struct.reorder) if self.struct.reorder else None

    @property
    def freed(self) -> bool:
        return self.struct.freed.count > 0

    @property
    def takes_first(self) -> bool:
        return self.struct.takes_first

    @takes_first.setter
    def takes_first(self, value: bool) -> None:
        lib.receiver_take_first(self.struct, value)

    def resize(self, size: int) -> list[bytes]:
        held = new_list()
        if not lib.receiver_resize(self.struct, size, held):
            raise MemoryError
        return take_packets(held)

    # Packets.

    def measure(self, path: Path, datagram: Admitted, now: float) -> None:
        header, _, flow, newest, authentic = datagram
        made = ffi.new("struct wire_header *", header)
        lib.receiver_measure(self.struct, struct_of(path), made, _flow_struct(flow), newest, authentic, now)

    def receive(self, path: Path, header: Header, packet: bytes, now: float) -> list[bytes]:
        out, made = new_list(), ffi.new("struct wire_header *", header)
        lib.receiver_receive(self.struct, struct_of(path), made, packet_of(packet), now, out)
        return take_packets(out)

    def begin_flow(self, path: Path, now: float) -> None:
        lib.receiver_begin_flow(self.struct, struct_of(path), now)

    def lose(self, now: float) -> None:
        lib.receiver_lose(self.struct, now)

    def take_freed(self) -> list[bytes]:
        return take_packets(pointer(self.struct, "freed"))

    def flush(self) -> list[bytes]:
        out = new_list()
        if self.struct.reorder:
            lib.reorder_flush(self.struct.reorder, out)
        return take_packets(out)

    # Time.

    def refresh(self, now: float) -> None:
        lib.receiver_refresh(self.struct, now)

    def update(self, now: float) -> None:
        lib.receiver_update(self.struct, now)

    def stood_still(self) -> None:
        lib.receiver_stood_still(self.struct)

    def due(self) -> float | None:
        held = self.struct.reorder and self.struct.reorder.held
        return lib.reorder_deadline(self.struct.reorder) if held else None

    def expire(self, now: float) -> list[bytes]:
        if not self.struct.reorder or not self.struct.reorder.held:
            return []
        out = new_list()
        lib.reorder_expire(self.struct.reorder, now, out)
        return take_packets(out)
