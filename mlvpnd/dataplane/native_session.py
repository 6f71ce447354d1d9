"""The native twin's session: packets that change no state pass through the engine, all others through `Session`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Protocol, runtime_checkable

from mlvpnd.protocol.links.gate import Gate
from mlvpnd.protocol.links.path import Address, Path, PathParameters
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.receiving.receiver import Receiver
from mlvpnd.protocol.sending.fragments import FragmentTable
from mlvpnd.protocol.sending.outbox import Transmit
from mlvpnd.protocol.sending.paced import PacedScheduler
from mlvpnd.protocol.sending.retransmissions import Retransmissions
from mlvpnd.protocol.sending.rules import Matcher, Rule
from mlvpnd.protocol.sending.scheduler import WeightedScheduler
from mlvpnd.protocol.sending.sender import Emit, Sender
from mlvpnd.protocol.wire.constants import HEADER_SIZE, MAC_SIZE, MAX_DATAGRAM_SIZE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.inner import classify
from mlvpnd.protocol.wire.wire import PacketType

from . import _native
from ._native import ffi, lib
from .binding.gate import NativeGate
from .binding.path import NativePath, struct_of
from .binding.receiver import NativeReceiver
from .binding.sending import NativeFragments, NativePaced, NativeRetransmissions, NativeWeighted
from .binding.structs import (
    field,
    known_address,
    new_address,
    new_engine,
    new_list,
    packet_of,
    pointer,
    take_drops,
    take_packets,
)


@runtime_checkable
class Compiled(Protocol):
    """A matcher that needs no Python: a BPF program."""

    @property
    def address(self) -> int:
        """Address of the program's instructions."""

    @property
    def function(self) -> int:
        """Address of the function that runs them: bpf_filter(3pcap)."""


class NativeSender(Sender):
    """Schedules packets in the engine; only a packet that a filter or rule may match passes through Python."""

    paced: bool = field("is_paced")
    _outer: int = field("outer")

    def __init__(
        self, engine: _native.Engine, paths: Mapping[int, Path], next_data_seq: int, emit: Emit, *, layer2: bool
    ) -> None:
        self.struct = engine
        super().__init__(paths, next_data_seq, emit, layer2=layer2)

    def _make_weighted(self) -> WeightedScheduler:
        return NativeWeighted(self.struct)

    def _make_paced(self, next_data_seq: int) -> PacedScheduler:
        scheduler = NativePaced(self.struct)
        scheduler.next_data_seq = next_data_seq
        return scheduler

    def _make_fragments(self) -> FragmentTable:
        return NativeFragments(self.struct)

    def _make_retransmissions(self) -> Retransmissions:
        return NativeRetransmissions(self.struct)

    def reschedule(self, chosen: Sequence[Path], now: float) -> None:
        super().reschedule(chosen, now)
        self.struct.notes = len(chosen) > 1

    def set_filters(self, filters: Sequence[tuple[Matcher, int]]) -> None:
        super().set_filters(filters)
        self._set_programs()

    def set_rules(self, rules: Sequence[Rule]) -> None:
        super().set_rules(rules)
        self._set_programs()

    def _set_programs(self) -> None:
        matchers = [matcher for matcher, _ in self._filters] + [rule.matcher for rule in self._rules.rules]
        programs: list[Compiled] = [matcher for matcher in matchers if isinstance(matcher, Compiled)]
        self.struct.asks = len(programs) < len(matchers)
        function = ffi.cast("engine_filter", programs[0].function if programs else 0)
        addresses = [ffi.cast("void *", program.address) for program in programs]
        if not lib.engine_set_programs(self.struct, function, ffi.new("void *[]", addresses), len(addresses)):
            raise MemoryError

    def send(self, packets: Sequence[bytes], now: float) -> None:
        lib.weighted_begin_burst(pointer(self.struct, "weighted"), len(packets))
        for data in packets:
            packet = packet_of(data)
            fits = HEADER_SIZE + len(data) + MAC_SIZE <= MAX_DATAGRAM_SIZE
            if fits and lib.engine_is_directed(self.struct, packet, now):
                lib.packet_free(packet)
                self.direct(data, now)
            else:
                lib.engine_schedule(self.struct, packet, now)
        self.pump(now)

    def direct(self, packet: bytes, now: float) -> None:
        """Takes a packet that a filter or rule may match."""
        kind, flow = classify(packet, layer2=self._layer2)
        if not self._direct(packet, kind, flow, now):
            lib.engine_schedule(self.struct, packet_of(packet), now)

    def pump(self, now: float) -> None:
        if self.paced:
            if now >= self._refresh_at:
                self._refresh(now)
            lib.engine_pump(self.struct, now)
        self._note_full()

    @property
    def drops(self) -> Counter[DropReason]:
        """Packets that were not sent. Takes over what C has counted."""
        self._note_full()
        take_drops(self.struct.drops, self._drops)
        return self._drops

    @drops.setter
    def drops(self, value: Counter[DropReason]) -> None:
        self._drops = value


class NativeSession(Session):
    """Does the same as `Session`, byte for byte."""

    def __init__(self, parameters: SessionParameters, first_seq: int, random_u32: Callable[[], int]) -> None:
        self.engine = new_engine(layer2=parameters.layer2)
        super().__init__(parameters, first_seq, random_u32)
        self._last: dict[int, list[Transmit]] = {}
        """Datagrams of removed links, by the link's number."""

    def _make_gate(self) -> Gate:
        return NativeGate(self.engine, self._parameters)

    def _make_sender(self, first_seq: int) -> Sender:
        return NativeSender(self.engine, self._paths, first_seq, self._emit_data, layer2=self._parameters.layer2)

    def _make_receiver(self) -> Receiver:
        of = self._parameters
        return NativeReceiver(self.engine, of.reorder_size, takes_first=of.peer_takes_first)

    def _make_path(self, number: int, parameters: PathParameters, flow_id: int, first_seq: int) -> Path:
        path = NativePath(number, parameters, flow_id, first_seq)
        if not lib.path_table_add(pointer(self.engine, "table"), path.struct):
            raise MemoryError
        return path

    def _forget_path(self, number: int) -> None:
        path = self._paths[number]
        lib.path_table_remove(pointer(self.engine, "table"), struct_of(path))
        super()._forget_path(number)

    def _emit(
        self,
        path: Path,
        packet_type: PacketType,
        plaintext: bytes,
        *,
        reorder: bool = True,
        data_seq: int = 0,
        address: Address | None = None,
    ) -> None:
        struct = struct_of(path)
        to = pointer(struct, "peer") if address is None else new_address(address)
        if not to.size:
            return
        packet = packet_of(plaintext)
        packet.reorder, packet.data_seq = reorder, data_seq
        lib.engine_emit(self.engine, struct, to, packet_type, packet, self._now)

    def keep_house(self, data_at: float, now: float) -> None:
        """To be called a few times a second while packets pass that Python does not see.

        `data_at`: when data passed last; < 0: none since the last call.
        """
        self._now = now
        if data_at >= 0:
            self._activity.note(data_at)
        for path in self._paths.values():
            self.judge_in_time(path, now)
        self._sender.pump(now)

    def transmits(self) -> list[Transmit]:
        last, self._last = self._last, {}
        out = [*chain.from_iterable(last.values())] if last else []
        for path in self._paths.values():
            if isinstance(path, NativePath) and path.struct.bursts:
                out += path.take_transmits()
        return out

    def last_transmits(self, number: int) -> list[Transmit]:
        """Takes the datagrams of a removed link, which the engine no longer knows."""
        return self._last.pop(number, [])

    def remove_path(self, number: int, now: float) -> list[bytes]:
        path = self._paths[number]
        released = super().remove_path(number, now)
        if isinstance(path, NativePath) and (last := path.take_transmits()):
            self._last[number] = last
        return released

    def receive(self, number: int, datagrams: Sequence[tuple[bytes, Address]], now: float) -> list[bytes]:
        self._now = now
        path, out, taken = self._paths[number], list[bytes](), new_list()
        struct = struct_of(path)
        self._receiver.refresh(now)
        for data, address in datagrams:
            datagram = packet_of(data)
            fate = lib.engine_take(self.engine, struct, datagram, known_address(address), now, taken)
            if fate == lib.ENGINE_DATA:
                self._activity.note(now)
                out += take_packets(taken)
                continue
            lib.packet_free(datagram)
            if fate == lib.ENGINE_SLOW:
                out += self._receive_one(path, data, address)
        if struct.rtt.unechoed or now >= struct.judge_at:  # else there is nothing to judge
            self.judge_in_time(path, now)
        return out
