"""Protection against replay, after RFC 4303 §3.4.3 and RFC 6479, for a protocol that has none of its own.

Every `flow_id` that has proven itself has one window of sequence numbers, in one table for the process. It is bound to
the link where it was introduced, so a datagram counts once, on its own link. Only a new AUTH or AUTH_OK moves a flow to
another link: whoever plays a recording on the wrong link must not keep the living flow from its own. A window moves
only for authentic packets. A look before the box is opened saves the work for replays.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Set

from .constants import CLEAR_WINDOW_SIZE, MAX_FLOWS, REPLAY_WINDOW_SIZE

_ALL_SEEN = (1 << REPLAY_WINDOW_SIZE) - 1


class ReplayWindow:
    """Which of the last `REPLAY_WINDOW_SIZE` numbers up to the newest have been seen.

    All numbers before the first count as seen: a flow begins with the packet that introduces it, and an older one can
    only come from a recording.
    """

    __slots__ = ("_bits", "newest")

    def __init__(self, first: int) -> None:
        self.newest = first
        self._bits = _ALL_SEEN  # bit n: newest - n has been seen

    @classmethod
    def restored(cls, newest: int, seen: int) -> ReplayWindow:
        """A window as another had it: its `newest` and `seen`."""
        window = cls(newest)
        window._bits = seen & _ALL_SEEN | 1
        return window

    @property
    def seen(self) -> int:
        """Bit n: number `newest` - n has been seen."""
        return self._bits

    def may_accept(self, seq: int) -> bool:
        """Whether `seq` is neither seen nor older than the window."""
        age = self.newest - seq
        return age < 0 or (age < REPLAY_WINDOW_SIZE and not self._bits >> age & 1)

    def accept(self, seq: int) -> bool:
        """Notes an authentic `seq`; False if it is a replay or too old."""
        age = self.newest - seq
        if age < 0:
            self._bits = (self._bits << -age | 1) & _ALL_SEEN if -age < REPLAY_WINDOW_SIZE else 1
            self.newest = seq
            return True
        if age >= REPLAY_WINDOW_SIZE or self._bits >> age & 1:
            return False
        self._bits |= 1 << age
        return True


class ClearWindow:
    """Which clear DATA has been seen, where a number proves nothing.

    Numbers count only within a range that authentic packets of the flow anchor (`anchor`). It begins
    `REPLAY_WINDOW_SIZE` behind the newest authentic number, and has `size` numbers. So a forger can use up numbers that
    he names one by one, but he cannot move the window. Memory is fixed: a bit per number.
    """

    __slots__ = ("_base", "_seen", "_size")

    def __init__(self, newest_authentic: int, size: int = CLEAR_WINDOW_SIZE) -> None:
        self._size = size
        self._seen = bytearray(size // 8)
        self._base = self._start(newest_authentic)

    @classmethod
    def restored(cls, base: int, octets: bytes) -> ClearWindow:
        """A window as another had it: its `base` and `seen`, which may lack zeros at the end. Raises ValueError."""
        window = cls(0)
        if base < 0 or base % 8 or len(octets) > len(window._seen):
            raise ValueError("no such clear window")
        window._base = base
        at, count = base // 8 % len(window._seen), len(window._seen)
        for place, octet in enumerate(octets):
            window._seen[(at + place) % count] = octet
        return window

    @property
    def base(self) -> int:
        """The first number of the range; a multiple of 8."""
        return self._base

    @property
    def seen(self) -> bytes:
        """Bit n, the lowest of an octet first: number `base` + n has been seen."""
        at = self._base // 8 % len(self._seen)
        return bytes(self._seen[at:] + self._seen[:at])

    @staticmethod
    def _start(newest_authentic: int) -> int:
        return max(0, newest_authentic - REPLAY_WINDOW_SIZE + 1) & ~7

    def anchor(self, newest_authentic: int) -> None:
        """Moves the range forward with the authentic packets of the flow."""
        base = self._start(newest_authentic)
        if base - self._base >= self._size:
            self._seen = bytearray(self._size // 8)
        else:
            for octet in range(self._base // 8, base // 8):
                self._seen[octet % (self._size // 8)] = 0
        self._base = max(base, self._base)

    def accept(self, seq: int) -> bool:
        """Notes `seq`; False if it is out of range or was seen."""
        if not self._base <= seq < self._base + self._size:
            return False
        octet, bit = seq // 8 % (self._size // 8), 1 << seq % 8
        if self._seen[octet] & bit:
            return False
        self._seen[octet] |= bit
        return True

    def count(self, first: int, end: int) -> int:
        """How many numbers from `first` up to but not including `end` are in the range and were accepted."""
        first, end = max(first, self._base), min(end, self._base + self._size)
        if first >= end:
            return 0
        start, stop = first // 8, (end + 7) // 8
        at = start % (self._size // 8)
        octets = self._seen[at : at + stop - start]
        octets += self._seen[: stop - start - len(octets)]
        bits = int.from_bytes(octets, "little") >> first % 8
        return (bits & (1 << end - first) - 1).bit_count()


def _clear_beside(authentic: ReplayWindow) -> tuple[int, bytes]:
    """`base` and `seen` of a flow's first clear window.

    What its authentic window has seen counts as seen, as does all before the flow.
    """
    newest = authentic.newest
    oldest = newest - REPLAY_WINDOW_SIZE + 1
    base = max(0, oldest) & ~7
    # Bit n is the number `newest` - n there, and the number `base` + n here.
    bits = int(f"{authentic.seen:0{REPLAY_WINDOW_SIZE}b}"[::-1], 2)
    bits = bits << oldest - base | (1 << oldest - base) - 1 if oldest > base else bits >> base - oldest
    return base, bits.to_bytes((bits.bit_length() + 7) // 8, "little")


class PeerFlow:
    """One `flow_id` of the peer: its window, and the link that it is bound to."""

    __slots__ = ("_clear", "flow_id", "insistent", "link", "ousted", "window")

    def __init__(self, flow_id: int, link: str, seq: int) -> None:
        self.flow_id = flow_id
        self.link = link
        """Where it was introduced last."""
        self.window = ReplayWindow(seq)
        self._clear: ClearWindow | None = None
        self.ousted = False
        """Another flow has taken the link from it. It comes back by AUTH, AUTH_OK, or speaking while `displaced`."""
        self.insistent = False
        """Ousted, it came back by a new AUTH or AUTH_OK. Recordings hold few of these, so it is alive."""

    @property
    def clear(self) -> ClearWindow | None:
        """The window for clear DATA, once some has come."""
        return self._clear

    def restore(self, newest: int, seen: int) -> None:
        """Takes over a window as another process had it; see `ReplayWindow.restored`."""
        self.window = ReplayWindow.restored(newest, seen)

    def restore_clear(self, base: int, octets: bytes) -> None:
        """The same for clear DATA; see `ClearWindow.restored`. Raises ValueError."""
        self._clear = ClearWindow.restored(base, octets)

    def accept_clear(self, seq: int) -> bool:
        """Notes clear DATA; False if its number is out of range or was seen."""
        if self.clear is None:
            self.restore_clear(*_clear_beside(self.window))
        assert self.clear is not None  # noqa: S101
        return self.clear.accept(seq)


class FlowTable:
    """All flows of the peer that this process remembers; the least recently used goes when it is full.

    It also has the ids of this process's own flows, and of the session that it has taken up. None of these is
    forgotten.
    """

    def __init__(self, limit: int = MAX_FLOWS) -> None:
        self._limit = limit
        self._flows: OrderedDict[int, PeerFlow] = OrderedDict()
        self._own: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._flows)

    def get(self, flow_id: int) -> PeerFlow | None:
        """The flow, if it has proven itself before."""
        return self._flows.get(flow_id)

    def add(self, flow_id: int, link: str, seq: int, keep: frozenset[int]) -> PeerFlow:
        """Remembers a flow that has just proven itself with `seq`.

        `keep` names the flows that links live on, which are never forgotten.
        """
        while len(self._flows) >= self._limit:
            victim = next((known for known in self._flows if known not in keep), None)
            if victim is None:
                break
            self._forget(victim)
        return self.restore(flow_id, link, seq)

    def _forget(self, flow_id: int) -> None:
        del self._flows[flow_id]

    def __iter__(self) -> Iterator[PeerFlow]:
        return iter(self._flows.values())

    def restore(self, flow_id: int, link: str, seq: int) -> PeerFlow:
        """Remembers a flow that has proven itself before, by `seq` at last."""
        flow = self._flows[flow_id] = PeerFlow(flow_id, link, seq)
        return flow

    def touch(self, flow: PeerFlow) -> None:
        """Marks a flow as used."""
        self._flows.move_to_end(flow.flow_id)

    @property
    def own(self) -> Set[int]:
        """The ids of flows of ours."""
        return self._own.keys()

    def add_own(self, flow_id: int) -> None:
        """A flow of ours has this id."""
        self._own[flow_id] = None
