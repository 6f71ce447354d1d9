"""The way in of a packet that the gate has admitted: what it says of the line, copies, its place in the order.

Every authentic packet of a link's flow measures how late the link's packets are, and how far they overtake each other
(`transit.py`). The reorder buffer waits accordingly: a rise counts at once, a fall a tenth of a second later. A rise of
more than a tenth of a second counts with the second packet that says so.

A peer that has restarted counts anew, C MLVPN from 0. The first number of a flow tells its epoch: a number that the
peer has sent already begins a new one. Links that still live by an older flow then bring stragglers of the old epoch,
which bypass the buffer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlvpnd.protocol.links.gate import Admitted
from mlvpnd.protocol.links.path import Path
from mlvpnd.protocol.wire.constants import RECLAIM_GRACE, WAIT_INTERVAL
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import Header

from .copies import CopyFilter
from .reorder import ReorderBuffer
from .transit import spread_ms

DATA_RECENT = 3.0
"""Seconds for which a link is waited for after it came up or brought data."""
UNKNOWN_SPREAD = 0.1
"""Seconds to wait, at least, while a link that may bring data has not been measured."""
MAX_WAIT = 0.5
"""Seconds to wait, at most; a link that is later than this is no help to the others."""
MIN_WAIT = 0.002
"""Seconds to wait beyond the spread: stamps are whole milliseconds, and bursts are read link by link."""
GROWTH = 1 / 8
"""Part of the spread to wait beyond it: in a queue that grows, each packet is later than those measured before."""


def awaited(paths: Iterable[Path], now: float, data_since: float) -> list[Path]:
    """The links that may bring a missing number.

    They have brought numbers lately, or may be about to: they have just come up, or data flows only since `data_since`.
    A far link's first packets are on their way then, long behind those of a near one. So an idle link delays nobody,
    nor does an unused fallback link, nor one that has fallen silent while others are heard.
    """
    up = [path for path in paths if path.up and not path.distrusted]
    return [
        path
        for path in up
        if now - path.numbered_at < DATA_RECENT
        or (now - max(path.up_at, data_since) < DATA_RECENT and not path.parameters.fallback_only)
    ] or up


def reorder_wait(paths: Iterable[Path]) -> float:
    """Seconds that a hole is worth waiting for: how much later than the quickest of these links the slowest may be."""
    transits = [path.transit for path in paths]
    wait = (1 + GROWTH) * spread_ms(transits) / 1000 + MIN_WAIT
    if not transits or not all(transit.has_sample for transit in transits):
        wait = max(wait, UNKNOWN_SPREAD)
    return min(wait, MAX_WAIT)


class Receiver:
    """Delivers what comes over `paths`, which the session owns and changes."""

    def __init__(self, paths: Mapping[int, Path], reorder_size: int, *, takes_first: bool) -> None:
        self._paths = paths
        self._copies: CopyFilter | None = None
        self.takes_first = takes_first
        self._reorder: ReorderBuffer | None = None
        self.resize(reorder_size)
        self._freed: list[bytes] = []
        """Packets that the reorder buffer let go because nothing will fill its holes any more."""
        self._numbered_at = self._numbered_since = float("-inf")
        """When numbered data came last, and since when it has come without a long break."""
        self._update_at = float("-inf")
        self._epoch = 0
        """Grows each time that the peer begins to count anew."""
        self._epoch_began = 0.0

    @property
    def reorder(self) -> ReorderBuffer | None:
        """The reorder buffer, if there is one."""
        return self._reorder

    @property
    def freed(self) -> bool:
        """Whether `take_freed` has packets."""
        return bool(self._freed)

    @property
    def takes_first(self) -> bool:
        """Whether the peer may send several copies of a packet, of which the first counts."""
        return self._copies is not None

    @takes_first.setter
    def takes_first(self, value: bool) -> None:
        if value != self.takes_first:
            self._copies = CopyFilter() if value else None

    def resize(self, size: int) -> list[bytes]:
        """Another reorder buffer, or none for 0; returns what the old one held."""
        held = self.flush()
        self._reorder = ReorderBuffer(size, UNKNOWN_SPREAD) if size else None
        for path in self._paths.values():
            path.epoch = None
        self._update_at = float("-inf")
        return held

    # Packets.

    def measure(self, path: Path, datagram: Admitted, now: float) -> None:
        """Takes what any packet of the link's flow says of the line."""
        header, _, flow, newest, authentic = datagram
        meter = path.loss
        if not authentic:  # whoever can forge the peer's address can forge the stamp and number, too
            if meter is not None and header.seq < meter.newest:
                meter.received(header.seq, now)  # it was overtaken by the packet that vouches for its number
            return
        risen = path.transit.received(header.timestamp, now)
        if (path.disorder.received(header.seq, now) or risen) and not self._is_idle(now):
            self.update(now)
        if meter is not None:
            # Clear DATA proves nothing of itself; this packet vouches for the range that its numbers are in.
            clear = flow.clear.count(meter.newest + 1, header.seq) if newest and flow.clear is not None else 0
            meter.received(header.seq, now, clear)
        if newest and flow.clear is not None:
            flow.clear.anchor(flow.window.newest)
        path.echo.received(header.timestamp, now)
        path.rtt.received(header.timestamp_reply, now)

    def receive(self, path: Path, header: Header, packet: bytes, now: float) -> list[bytes]:
        """Takes a packet; returns what is for the interface now, in order."""
        buffer = self._reorder
        if not header.reorder:
            if self._copies is None or self._copies.is_first(header.data_seq):
                return [packet]
            path.drops[DropReason.COPY] += 1
            return []
        if buffer is None:
            return [packet]
        returned = now - path.numbered_at >= DATA_RECENT
        path.numbered_at = now
        if returned:
            if now - self._numbered_at >= DATA_RECENT:
                self._numbered_since = now
            self.update(now)
        self._numbered_at = now
        if path.epoch != self._epoch:
            return self._of_other_epoch(path, buffer, header.data_seq, packet, now)
        return buffer.push(header.data_seq, packet, now, path.number)

    def _of_other_epoch(
        self, path: Path, buffer: ReorderBuffer, data_seq: int, packet: bytes, now: float
    ) -> list[bytes]:
        """Takes a packet of a flow whose epoch is not known yet, or is an older one."""
        out: list[bytes] = []
        if path.epoch is None:
            anew = buffer.is_anew(data_seq, now, RECLAIM_GRACE)
            if anew is None:
                return buffer.push(data_seq, packet, now, path.number)
            if anew:
                self._epoch += 1
                self._epoch_began = now
                out = buffer.flush()
        elif now < self._epoch_began + RECLAIM_GRACE:
            return [packet]
        # Else the flow has gone on for too long after the restart to be a straggler.
        path.epoch = self._epoch
        self.update(now)
        return out + buffer.push(data_seq, packet, now, path.number)

    def begin_flow(self, path: Path, now: float) -> None:
        """The link has another flow of the peer's, so the peer may have restarted."""
        path.epoch = None
        self.update(now)
        if not any(other.up and other.epoch == self._epoch for other in self._paths.values()):
            self._freed += self.flush()

    def lose(self, now: float) -> None:
        """A link went down: numbers that only it could bring do not come. Without links, the peer may count anew."""
        if any(path.up for path in self._paths.values()):
            self.update(now)
            self._freed += self.expire(now)
        else:
            self._freed += self.flush()

    def take_freed(self) -> list[bytes]:
        """Takes packets for the interface beside those that `receive` returns: nothing will fill the holes before."""
        released, self._freed = self._freed, []
        return released

    def flush(self) -> list[bytes]:
        """Everything held, in order, now."""
        return self._reorder.flush() if self._reorder is not None else []

    # Time.

    def refresh(self, now: float) -> None:
        """Calls `update` if the last one was long ago."""
        if now >= self._update_at and not self._is_idle(now):
            self.update(now)

    def _is_idle(self, now: float) -> bool:
        """Whether no numbered data has come for long: nothing can be held, and the next data calls `update`."""
        return now - self._numbered_at >= DATA_RECENT

    def update(self, now: float) -> None:
        """Sets which links are waited for, and for how long."""
        self._update_at = now + WAIT_INTERVAL
        if self._reorder is None:
            return
        for path in self._paths.values():
            path.transit.note()
        links = awaited(self._paths.values(), now, self._numbered_since)
        self._reorder.wait = reorder_wait(links)
        self._reorder.set_links(
            {path.number: path.disorder.seconds(now) for path in links if path.epoch in (None, self._epoch)}
        )

    def stood_still(self) -> None:
        """Nobody has read for a while: what comes now has waited for us, not on the line."""
        for path in self._paths.values():
            path.transit.forget_high()

    def due(self) -> float | None:
        """When `expire` has something to give up, or None."""
        return self._reorder.deadline() if self._reorder is not None else None

    def expire(self, now: float) -> list[bytes]:
        """The packets behind holes that are not waited for any more, in order."""
        return self._reorder.expire(now) if self._reorder is not None else []
