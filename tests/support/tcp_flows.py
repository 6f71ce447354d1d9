"""TCP inside a tunnel over lossy lines, in simulated time: flows like CUBIC's and BBR's, and the way between the ends.

Only `Sender` is real code. Lines, the peer and the flows' ends are events in a queue. The same seed loses the same.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from mlvpnd.protocol.links.path import Path, PathInput, PathParameters
from mlvpnd.protocol.sending.retransmissions import Retransmissions
from mlvpnd.protocol.sending.sender import OUTER_IPV4, Sender
from mlvpnd.protocol.wire.constants import HEADER_SIZE, MAC_SIZE

MSS = 1448
SIZE = OUTER_IPV4 + HEADER_SIZE + 52 + MSS + MAC_SIZE
"""Bytes of a full segment on the line."""
OVERTAKEN = 3
"""Later segments that must arrive before a segment counts as lost (RFC 5681 §3.2, RFC 6675)."""
ROUND = 0.001
"""Seconds; resolution of a flow's clock."""


@dataclass(frozen=True)
class Uplink:
    """Mbit/s, milliseconds one way, and the share of lost packets."""

    rate: float
    delay: float
    loss: float = 0.0


@dataclass(frozen=True)
class _Sent:
    segment: int
    at: float
    delivered: int
    """Segments that were delivered when this one left. The next field is the time of the last delivery until then."""
    delivered_at: float


class Flow:
    """Full segments without end. Each is delivered in the end. The subclasses are congestion controls."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.delivered = 0
        self.cwnd = 10.0
        """Segments that may be under way."""
        self.flight: dict[int, _Sent] = {}
        """Segments under way, in order of departure."""
        self._departures = 0
        self._next = 0
        self._again: deque[int] = deque()
        self._recovered = 0
        """Earlier departures belong to a loss that was already answered."""
        self._heard_at = 0.0
        self._rtt = 0.1
        self._delivered_at = 0.0
        self._header = bytes.fromhex("450005dc00004000400600000a0000010a000002") + number.to_bytes(2) + b"\x00\x50"

    def send(self, now: float) -> bytes | None:
        """The next packet, if one may leave."""
        if len(self.flight) >= self.cwnd or not self._paced(now):
            return None
        if not self.flight:
            self._heard_at = self._delivered_at = now
        if self._again:
            segment = self._again.popleft()
        else:
            segment, self._next = self._next, self._next + 1
        self.flight[self._departures] = _Sent(segment, now, self.delivered, self._delivered_at)
        self._departures += 1
        return self._header + (segment * MSS & 0xFFFF_FFFF).to_bytes(4) + bytes(4) + b"\x80\x10" + bytes(18 + MSS)

    @property
    def departure(self) -> int:
        """The number of the last departure."""
        return self._departures - 1

    def acknowledge(self, departure: int, now: float) -> None:
        """The acknowledgement of a packet has come."""
        self._heard_at = now
        sent = self.flight.pop(departure, None)
        if sent is None:
            return
        self._rtt = now - sent.at
        self.delivered += 1
        rate = (self.delivered - sent.delivered) / max(now - sent.delivered_at, sent.at - sent.delivered_at, ROUND)
        self._delivered_at = now
        self._on_delivery(now, self._rtt, rate, sent.delivered)
        lost = []
        for one in self.flight:
            if one >= departure - OVERTAKEN:
                break
            lost.append(one)
        self._lose(lost, now)

    def look_at_time(self, now: float) -> None:
        """If nothing has been heard for long, everything counts as lost."""
        if self.flight and now - self._heard_at > max(0.2, 2 * self._rtt):
            self._heard_at = now
            self._lose(list(self.flight), now)

    def _lose(self, departures: Sequence[int], now: float) -> None:
        for one in departures:
            self._again.append(self.flight.pop(one).segment)
        if departures and departures[-1] >= self._recovered:
            self._recovered = self._departures
            self._on_loss(now)

    def _paced(self, now: float) -> bool:
        return True

    def _on_delivery(self, now: float, rtt: float, rate: float, delivered: int) -> None: ...

    def _on_loss(self, now: float) -> None: ...


class Cubic(Flow):
    """RFC 9438, with the end of slow start by delay of RFC 9406."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._threshold = float("inf")
        self._highest = 0.0
        self._since: float | None = None
        self._start = self._reno = 0.0
        self._least_rtt = 1.0

    def _on_delivery(self, now: float, rtt: float, rate: float, delivered: int) -> None:
        self._least_rtt = min(self._least_rtt, rtt)
        if self.cwnd < self._threshold:
            self.cwnd += 1
            if self.cwnd > 16 and rtt > self._least_rtt + max(0.004, self._least_rtt / 8):
                self._threshold = self.cwnd
            return
        if self._since is None:
            self._since, self._start, self._reno = now, self.cwnd, self.cwnd
            self._highest = max(self._highest, self.cwnd)
        flat = ((self._highest - self._start) / 0.4) ** (1 / 3)
        target = 0.4 * (now - self._since + rtt - flat) ** 3 + self._highest
        self._reno += 3 * 0.3 / 1.7 / self.cwnd
        self.cwnd += max(max(min(target, 1.5 * self.cwnd), self._reno) - self.cwnd, 0.01) / self.cwnd

    def _on_loss(self, now: float) -> None:
        self._highest = 0.85 * self.cwnd if self.cwnd < self._highest else self.cwnd
        self.cwnd = self._threshold = max(2.0, 0.7 * self.cwnd)
        self._since = None


class Bbr(Flow):
    """BBR as in Linux: a start, phases of eight gains, and every ten seconds a look for the round trip."""

    GAINS = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    START = 2.89

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._gain = self.START
        self._rates: deque[tuple[int, float]] = deque()
        """The highest rates of ten rounds, with their rounds, falling."""
        self._round = self._round_ends = 0
        self._rtt_least, self._rtt_at = 1.0, 0.0
        self._state = "start"
        self._grown, self._grown_round = 0.0, 0
        self._phase, self._phase_at = 2, 0.0
        self._may_send_at = 0.0
        self._look_until = 0.0
        self._cwnd_before = 0.0
        self._idle_until = 0
        """A count of deliveries. Rates of segments that left before this count show a flow that had little to send."""

    @property
    def _rate(self) -> float:
        return self._rates[0][1] if self._rates else 200.0

    def _paced(self, now: float) -> bool:
        if now < self._may_send_at:
            return False
        self._may_send_at = max(self._may_send_at, now - ROUND) + 1 / (self._gain * self._rate)
        return True

    def _on_delivery(self, now: float, rtt: float, rate: float, delivered: int) -> None:
        new_round = delivered >= self._round_ends
        if new_round:
            self._round += 1
            self._round_ends = self.delivered
        idle = delivered < self._idle_until
        if not idle or rate >= self._rate:
            while self._rates and self._rates[0][0] < self._round - 10:
                self._rates.popleft()
            while self._rates and self._rates[-1][1] <= rate:
                self._rates.pop()
            self._rates.append((self._round, rate))
        expired = now - self._rtt_at > 10
        if rtt <= self._rtt_least or expired:
            self._rtt_least, self._rtt_at = rtt, now
        if expired and self._state != "look":
            self._state, self._gain, self._cwnd_before, self._look_until = "look", 1.0, self.cwnd, 0.0
        if self._state == "look":
            self._look(now)
            return
        product = self._rate * self._rtt_least
        if self._state == "start" and new_round:
            self._end_start()
        if self._state == "drain" and len(self.flight) <= product:
            self._cruise(now)
        if self._state == "cruise" and self._phase_ends(now, product):
            self._phase, self._phase_at = (self._phase + 1) % 8, now
            self._gain = self.GAINS[self._phase]
        most = (2.0 if self._state == "cruise" else self.START) * product + 3
        self.cwnd = max(min(self.cwnd + 1, most), 10.0)

    def _end_start(self) -> None:
        if self._rate >= 1.25 * self._grown:
            self._grown, self._grown_round = self._rate, self._round
        elif self._round - self._grown_round >= 3:
            self._state, self._gain = "drain", 1 / self.START

    def _cruise(self, now: float) -> None:
        self._state, self._phase, self._phase_at, self._gain = "cruise", 2, now, 1.0

    def _phase_ends(self, now: float, product: float) -> bool:
        over = now - self._phase_at > self._rtt_least
        if self._gain > 1:
            return over and (len(self.flight) >= 1.2 * product or now - self._phase_at > 4 * self._rtt_least)
        return over or (self._gain < 1 and len(self.flight) <= product)

    def _look(self, now: float) -> None:
        self._idle_until = self.delivered + len(self.flight)
        self.cwnd = 4
        if not self._look_until:
            if len(self.flight) <= 4:
                self._look_until = now + 0.2
        elif now > self._look_until:
            self._rtt_at, self.cwnd = now, self._cwnd_before
            self._cruise(now)


class Blind(Retransmissions):
    """A judge of retransmissions that sees nothing."""

    __slots__ = ()

    def sent(self, link: int, segment: bytes, length: int) -> None: ...


class Tunnel:
    """A sender over uplinks, and a peer that puts in order. The peer waits the difference of the delays and 4 ms."""

    def __init__(self, uplinks: Sequence[Uplink], seed: int, *, blind: bool = False) -> None:
        self._uplinks = uplinks
        self._chance = random.Random(seed)
        self._busy_until = [0.0] * len(uplinks)
        paths = {}
        for number, uplink in enumerate(uplinks):
            bandwidth = int(uplink.rate * 125_000)
            path = paths[number] = Path(number, PathParameters(f"l{number}", 5.0, bandwidth=bandwidth), number, 1)
            path.step(PathInput.AUTHENTICATE)
            path.rtt.update(2 * uplink.delay)
        self.sender = Sender(paths, 0, self._emit, layer2=False)
        if blind:
            self.sender.retransmissions = Blind()
        self.sender.reschedule(list(paths.values()), 0.0)
        delays = [uplink.delay / 1000 for uplink in uplinks]
        self._wait, self._back = max(delays) - min(delays) + 0.004, min(delays)
        self._now = 0.0
        self._events: list[tuple[float, int, str, int, int, int]] = []
        """Time, number of the event, kind, `data_seq`, flow, departure."""
        self._count = 0
        self._under_way: dict[bytes, tuple[int, int]] = {}
        self._expected = 0
        self._held: dict[int, tuple[float, int, int]] = {}

    def run(self, flows: Sequence[Flow], seconds: float) -> None:
        """Runs for `seconds` more."""
        by_number = {flow.number: flow for flow in flows}
        end, tick = self._now + seconds, self._now
        while self._now < end:
            due = self.sender.due()
            at = min(tick, self._events[0][0] if self._events else tick, tick if due is None else due)
            now = self._now = max(self._now, at)
            if now >= tick:
                tick = now + ROUND
                for flow in flows:
                    flow.look_at_time(now)
            while self._events and self._events[0][0] <= now:
                _, _, what, data_seq, number, departure = heapq.heappop(self._events)
                if what == "arrives":
                    self._arrive(data_seq, number, departure, now)
                elif what == "waited":
                    self._give_up(now)
                elif number in by_number:
                    by_number[number].acknowledge(departure, now)
            packets = []
            for flow in flows:
                while (packet := flow.send(now)) is not None:
                    self._under_way[packet[20:28]] = flow.number, flow.departure
                    packets.append(packet)
            self.sender.send(packets, now)

    def goodput(self, flows: Sequence[Flow], seconds: float) -> float:
        """Runs for `seconds` more; returns the goodput of these flows in Mbit/s on the lines."""
        before = sum(flow.delivered for flow in flows)
        self.run(flows, seconds)
        return (sum(flow.delivered for flow in flows) - before) * SIZE * 8 / 1e6 / seconds

    def _emit(self, path: Path, packet: bytes, reorder: bool, data_seq: int) -> None:
        uplink = self._uplinks[path.number]
        free_at = max(self._busy_until[path.number], self._now) + SIZE / (uplink.rate * 125_000)
        self._busy_until[path.number] = free_at
        flow, departure = self._under_way[packet[20:28]]
        if self._chance.random() >= uplink.loss:
            self._happens(free_at + uplink.delay / 1000, "arrives", data_seq, flow, departure)

    def _happens(self, at: float, what: str, data_seq: int = 0, flow: int = 0, departure: int = 0) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, what, data_seq, flow, departure))

    def _arrive(self, data_seq: int, flow: int, departure: int, now: float) -> None:
        if data_seq > self._expected:
            self._held[data_seq] = now, flow, departure
            self._happens(now + self._wait, "waited")
            return
        self._deliver(flow, departure, now)
        if data_seq == self._expected:
            self._expected += 1
            self._release(now)

    def _release(self, now: float) -> None:
        while (held := self._held.pop(self._expected, None)) is not None:
            self._deliver(held[1], held[2], now)
            self._expected += 1

    def _give_up(self, now: float) -> None:
        while self._held and next(iter(self._held.values()))[0] + self._wait <= now:
            self._expected = min(self._held)
            self._release(now)

    def _deliver(self, flow: int, departure: int, now: float) -> None:
        self._happens(now + self._back, "acknowledged", 0, flow, departure)
