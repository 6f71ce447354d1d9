"""What decides on the way out: the two schedules, what TCP sends again, and fragments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlvpnd.dataplane import _native
from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.protocol.sending.fragments import LONGEST_NAME, FragmentTable
from mlvpnd.protocol.sending.line import MAX_RATE, Item
from mlvpnd.protocol.sending.paced import LineParameters, PacedScheduler
from mlvpnd.protocol.sending.retransmissions import Retransmissions
from mlvpnd.protocol.sending.scheduler import MAX_WEIGHT, WeightedScheduler

from .structs import field, new_list, packet_of, pointer, take_packet

_MAX_NUMBER = (1 << 31) - 1
_MAX_DELAY = ((1 << 63) - 1) // 1000
"""Nanoseconds: C multiplies delays by percents."""


class NativeWeighted(WeightedScheduler):
    """The engine's schedule by weights."""

    def __init__(self, engine: _native.Engine) -> None:
        self._engine = engine
        self.struct: _native.Weighted = pointer(engine, "weighted")

    def set_links(self, weights: Mapping[int, int]) -> None:
        if not all(number >= 0 < weight <= MAX_WEIGHT for number, weight in weights.items()):
            raise ValueError(f"a link's number is not negative, its weight is 1 to {MAX_WEIGHT}")
        rows = [{"number": number, "weight": weight} for number, weight in weights.items()]
        if not lib.weighted_set_links(self.struct, ffi.new("struct weighted_link[]", rows), len(rows)):
            raise MemoryError

    def begin_burst(self, packets: int) -> None:
        lib.weighted_begin_burst(self.struct, packets)

    def pick(self, size: int) -> int | None:
        number = lib.weighted_pick(self.struct, size)
        return None if number < 0 else number

    @property
    def links(self) -> tuple[int, ...]:
        return tuple(self.struct.links[at].number for at in range(self.struct.count))


def _checked_line(number: int, line: LineParameters) -> tuple[int, int, int, int, int, bool]:
    """The fields of `struct paced_line`. Raises ValueError for numbers that C cannot count with."""
    for name, value, least, most in (
        ("number", number, 0, _MAX_NUMBER),
        ("rate", line.rate, 1, MAX_RATE),
        ("delay", line.delay, 0, _MAX_DELAY),
        ("least_delay", line.least_delay, 0, _MAX_DELAY),
        ("priority", line.priority, -_MAX_NUMBER, _MAX_NUMBER),
    ):
        if not least <= value <= most:
            raise ValueError(f"a line's {name} is {least} to {most}")
    return number, line.priority, line.rate, line.delay, line.least_delay, line.spare


class NativePaced(PacedScheduler):
    """The engine's schedule by rates."""

    next_data_seq: int = field("next_data_seq")
    dropped: int = field("dropped")

    def __init__(self, engine: _native.Engine) -> None:
        self._engine = engine
        self.struct: _native.Paced = pointer(engine, "paced")
        self._due = ffi.new("int64_t *")

    @property
    def waiting_bytes(self) -> int:
        return lib.paced_waiting_bytes(self.struct)

    def set_lines(self, lines: Mapping[int, LineParameters], now: int) -> None:
        rows = [_checked_line(number, line) for number, line in lines.items()]
        if not lib.paced_set_lines(self.struct, ffi.new("struct paced_line[]", rows), len(rows), now):
            raise MemoryError

    def put_on(self, number: int, item: Item, flow: int, now: int, *, first: bool) -> None:
        packet = packet_of(item.packet)
        packet.line_size, packet.after = item.size, item.after
        packet.reorder, packet.data_seq = item.reorder, item.data_seq
        if not lib.paced_put_on(self.struct, number, packet, flow, now, first):
            lib.packet_free(packet)
            raise KeyError(number)

    def earliest(self, numbers: Sequence[int], now: int) -> int:
        if not numbers:
            raise IndexError("there must be a line")
        return lib.paced_earliest(self.struct, ffi.new("int32_t[]", list(numbers)), len(numbers), now)

    def drain(self, now: int) -> list[tuple[int, Item]]:
        out = new_list()
        lib.paced_drain(self.struct, now, out)
        return take_items(out)

    def due(self) -> int | None:
        return self._due[0] if lib.paced_due(self.struct, self._due) else None


def take_items(packets: _native.PacketList) -> list[tuple[int, Item]]:
    """Takes the packets of a list with their links."""
    out: list[tuple[int, Item]] = []
    while first := packets.first:
        told = first.link, first.line_size, first.data_seq, first.reorder, first.after, first.flow
        link, size, data_seq, reorder, after, bucket = told
        out.append((link, Item(take_packet(packets), size, data_seq, reorder, after, bucket)))
    return out


class NativeRetransmissions(Retransmissions):
    """What the engine has seen of inner TCP."""

    def __init__(self, engine: _native.Engine) -> None:
        self._engine = engine
        self.struct: _native.Retransmissions = pointer(engine, "retransmissions")
        self.harmful = frozenset()

    def share(self, link: int) -> float:
        return lib.retransmissions_share(self.struct, link)

    def judge(self, rates: Mapping[int, int], now: float) -> frozenset[int]:
        if not all(rate > 0 for rate in rates.values()):
            raise ValueError("a link's rate is at least 1")
        rows = ffi.new("struct retransmissions_rate[]", list(rates.items()))
        if not lib.retransmissions_judge(self.struct, rows, len(rates), now):
            raise MemoryError
        links = (self.struct.links[at] for at in range(self.struct.count))
        self.harmful = frozenset(link.number for link in links if link.harmful)
        return self.harmful


def _checked(name: bytes) -> bytes:
    if not 0 < len(name) <= LONGEST_NAME:
        raise ValueError("no fragment has such a name")
    return name


class NativeFragments(FragmentTable):
    """The engine's table of fragments."""

    def __init__(self, engine: _native.Engine) -> None:
        self._engine = engine
        self.struct: _native.Fragments = pointer(engine, "fragments")

    def note(self, name: bytes, decision: int, now: float) -> None:
        lib.fragments_note(self.struct, _checked(name), len(name), decision, now)

    def find(self, name: bytes, now: float) -> int | None:
        decision = lib.fragments_find(self.struct, _checked(name), len(name), now)
        return None if decision < 0 else decision

    def clear(self) -> None:
        lib.fragments_clear(self.struct)
