"""The native twin's session: packets that change no state pass through the engine, all others through `Session`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from mlvpnd.protocol.links.path import Address, Meters, Path
from mlvpnd.protocol.links.session import Parts, Session, SessionParameters
from mlvpnd.protocol.sending.outbox import Transmit
from mlvpnd.protocol.sending.rules import Matcher, Rule
from mlvpnd.protocol.sending.sender import Sender, SendingParts
from mlvpnd.protocol.wire.constants import MAX_FLOWS
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.inner import classify
from mlvpnd.protocol.wire.replay import FlowTable, PeerFlow
from mlvpnd.protocol.wire.wire import PacketType

from . import _native

_REASONS = tuple(DropReason)


@runtime_checkable
class Compiled(Protocol):
    """A matcher that needs no Python: a BPF program."""

    @property
    def address(self) -> int:
        """Address of the program's instructions."""

    @property
    def function(self) -> int:
        """Address of the function that runs them: bpf_filter(3pcap)."""


class NativePath(_native.PathState, Path):
    """A link whose most used fields the engine can reach."""

    meters: ClassVar[Meters] = cast(Any, Meters)(
        _native.RttEstimator,
        _native.StampEcho,
        _native.Transit,
        _native.Disorder,
        _native.LossMeter,
        _native.AnswerPace,
    )


class NativeFlowTable(FlowTable):
    """A flow table that the engine can look into."""

    def __init__(self, limit: int = MAX_FLOWS, flow_type: type[PeerFlow] = PeerFlow) -> None:
        super().__init__(limit, flow_type)
        self.index = _native.FlowIndex()

    def restore(self, flow: PeerFlow) -> None:
        super().restore(flow)
        self.index.put(cast(Any, flow))

    def _forget(self, flow_id: int) -> None:
        super()._forget(flow_id)
        self.index.forget(flow_id)

    def add_own(self, flow_id: int) -> None:
        super().add_own(flow_id)
        self.index.put_own(flow_id)


class NativeSender(Sender):
    """Schedules packets in the engine; only a packet that a filter or rule may match passes through Python."""

    engine: _native.Engine

    def begin(self, receiver: _native.Receiver, flows: _native.FlowIndex, *, layer2: bool) -> _native.Engine:
        """Makes the engine, which works on this sender's parts and on a receiver."""
        parts = cast(Any, (self._paced, self._weighted, self.retransmissions, self._fragments, flows))
        self.engine = _native.Engine(receiver, *parts, layer2=layer2)
        return self.engine

    def _follow(self) -> None:
        engine = self.engine
        engine.is_paced, engine.notes, engine.outer = self.paced, len(self._chosen) > 1, self._outer

    def reschedule(self, chosen: Sequence[Path], now: float) -> None:
        super().reschedule(chosen, now)
        self._follow()

    def _refresh(self, now: float) -> None:
        super()._refresh(now)
        self._follow()

    def set_filters(self, filters: Sequence[tuple[Matcher, int]]) -> None:
        super().set_filters(filters)
        self._set_programs()

    def set_rules(self, rules: Sequence[Rule]) -> None:
        super().set_rules(rules)
        self._set_programs()

    def _set_programs(self) -> None:
        matchers = [matcher for matcher, _ in self._filters] + [rule.matcher for rule in self._rules.rules]
        programs: list[Compiled] = [matcher for matcher in matchers if isinstance(matcher, Compiled)]
        self.engine.asks = len(programs) < len(matchers)
        function = programs[0].function if programs else 0
        self.engine.set_programs(function, tuple(program.address for program in programs))

    def send(self, packets: Sequence[bytes], now: float) -> None:
        at, engine, burst = 0, self.engine, list(packets)
        self._weighted.begin_burst(len(burst))
        while (at := engine.send(burst, at, now)) < len(burst):
            self.direct(burst[at], now)
            at += 1
        self.pump(now)

    def direct(self, packet: bytes, now: float) -> None:
        """Takes a packet that a filter or rule may match."""
        kind, flow = classify(packet, layer2=self._layer2)
        if not self._direct(packet, kind, flow, now):
            self.engine.schedule(packet, now)

    def pump(self, now: float) -> None:
        if self.paced:
            if now >= self._refresh_at:
                self._refresh(now)
            self.engine.pump(now)
        self.note_drops()

    def note_drops(self) -> None:
        """Adds the engine's drops to the counters."""
        self._note_full()
        for reason, count in zip(_REASONS, self.engine.take_drops(), strict=True):
            if count:
                self.drops[reason] += count


class NativeSession(Session):
    """Does the same as `Session`, byte for byte."""

    parts: ClassVar[Parts] = cast(Any, Parts)(
        box=_native.Box,
        path=NativePath,
        peer_flow=_native.PeerFlow,
        flow_table=NativeFlowTable,
        replay_window=_native.ReplayWindow,
        clear_window=_native.ClearWindow,
        receiver=_native.Receiver,
        sender=NativeSender,
        sending=cast(Any, SendingParts)(
            _native.WeightedScheduler, _native.PacedScheduler, _native.Retransmissions, _native.FragmentTable
        ),
    )

    def __init__(self, parameters: SessionParameters, first_seq: int, random_u32: Callable[[], int]) -> None:
        super().__init__(parameters, first_seq, random_u32)
        self._last: dict[int, list[Transmit]] = {}
        """Datagrams of removed links, by the link's number."""
        self._native_sender = cast(NativeSender, self._sender)
        flows = cast(NativeFlowTable, self.gate.flows).index
        self.engine = self._native_sender.begin(cast(Any, self._receiver), flows, layer2=parameters.layer2)
        self._set_box(parameters)

    def _set_box(self, parameters: SessionParameters) -> None:
        self.engine.set_key(parameters.key)
        self.engine.cleartext_data, self.engine.is_server = parameters.cleartext_data, parameters.is_server

    def reconfigure(self, parameters: SessionParameters) -> list[bytes]:
        self._set_box(parameters)  # first: waiting packets may leave below, as when pacing ends
        return super().reconfigure(parameters)

    @property
    def drops(self) -> Counter[DropReason]:
        self._native_sender.note_drops()
        return super().drops

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
        if address is not None or path.peer is not None:
            self.engine.emit(path, packet_type, plaintext, reorder, data_seq, address, self._now)

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
        return [*chain.from_iterable(last.values()), *(Transmit(*burst) for burst in self.engine.transmits())]

    def last_transmits(self, number: int) -> list[Transmit]:
        """Takes the datagrams of a removed link, which the engine no longer knows."""
        return self._last.pop(number, [])

    def remove_path(self, number: int, now: float) -> list[bytes]:
        path = self._paths[number]
        released = super().remove_path(number, now)
        if last := self.engine.last_transmits(path):
            self._last[number] = [Transmit(*burst) for burst in last]
        return released

    def receive(self, number: int, datagrams: Sequence[tuple[bytes, Address]], now: float) -> list[bytes]:
        self._now = now
        path, at, burst, out = self._paths[number], 0, list(datagrams), list[bytes]()
        self._receiver.refresh(now)
        while True:
            packets, at, data = self.engine.receive(path, burst, at, now)
            out += packets
            if data:
                self._activity.note(now)
            if at == len(burst):
                break
            out += self._receive_one(path, *burst[at])
            at += 1
        self.judge_in_time(path, now)
        return out
