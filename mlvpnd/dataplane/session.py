"""The native twin's session: packets that change nothing pass through the engine, all others through `Session`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from mlvpnd.protocol.constants import HEADER_SIZE, MAC_SIZE, MAX_DATAGRAM_SIZE
from mlvpnd.protocol.drops import DropReason
from mlvpnd.protocol.inner import classify
from mlvpnd.protocol.path import Address, Meters, Path
from mlvpnd.protocol.rules import Matcher, Rule
from mlvpnd.protocol.sender import Sender, SendingParts
from mlvpnd.protocol.session import Parts, Session, SessionParameters, Transmit
from mlvpnd.protocol.wire import PacketType

from . import _native

_REASONS = tuple(DropReason)


class NativePath(_native.PathState, Path):
    """A link whose hot fields the engine has too."""

    meters: ClassVar[Meters] = cast(Any, Meters)(
        _native.RttEstimator, _native.StampEcho, _native.Transit, _native.Disorder, _native.LossMeter
    )


class NativeSender(Sender):
    """Puts what no filter or rule is about into the schedule without Python's help."""

    engine: _native.Engine

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
        programs = tuple(matcher for matcher in matchers if isinstance(matcher, NativeMatcher))
        self.engine.asks = len(programs) < len(matchers)
        function = programs[0].function if programs else 0
        self.engine.set_programs(function, tuple(program.address for program in programs))

    def send(self, packets: Sequence[bytes], now: float) -> None:
        at, engine, burst = 0, self.engine, list(packets)
        while (at := engine.send(burst, at, now)) < len(burst):
            self.direct(burst[at], now)
            at += 1
        self.pump(now)

    def direct(self, packet: bytes, now: float) -> None:
        """Takes a packet that a filter or rule may be about."""
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
        """Counts what the engine has dropped."""
        self._note_full()
        for reason, count in zip(_REASONS, self.engine.take_drops(), strict=True):
            if count:
                self.drops[reason] += count
