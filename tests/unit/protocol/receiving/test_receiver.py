"""The receiver: which links are waited for and for how long, what a restart of the peer does, and blind striping."""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from mlvpnd.protocol.links.gate import Admitted
from mlvpnd.protocol.links.path import Path, PathParameters, PathStatus
from mlvpnd.protocol.receiving.receiver import (
    DATA_RECENT,
    GROWTH,
    MAX_WAIT,
    MIN_WAIT,
    UNKNOWN_SPREAD,
    Receiver,
    awaited,
    reorder_wait,
)
from mlvpnd.protocol.receiving.rtt import stamp
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.replay import PeerFlow
from mlvpnd.protocol.wire.wire import Header, PacketType
from tests.support.native_parts import transit_of

DOWN, _, UP, LOSSY, SLOW = PathStatus


def link(
    number: int = 0,
    status: PathStatus = UP,
    *,
    fallback: bool = False,
    delays: Sequence[float] = (),
    now: float = 100.0,
) -> Path:
    """A link that has not just come up, measured by packets that took these delays."""
    path = Path(number, PathParameters(f"link{number}", 10.0, fallback_only=fallback), number, 0)
    path.status = status
    for delay in delays:
        transit_of(path).received(stamp(now), now + delay)
    return path


# Which links, and for how long.


def test_an_idle_link_delays_nobody() -> None:
    near, far = link(0), link(1)
    near.numbered_at = far.numbered_at = 100.0
    assert awaited([near, far], 101.0, 0.0) == [near, far]
    near.numbered_at = 104.0
    assert awaited([near, far], 104.0, 0.0) == [near]


def test_a_link_that_is_down_brings_nothing() -> None:
    near, far = link(0), link(1, DOWN)
    near.numbered_at = far.numbered_at = 100.0
    assert awaited([near, far], 100.0, 0.0) == [near]
    assert awaited([link(status=DOWN)], 100.0, 0.0) == []


def test_a_link_that_has_fallen_silent_is_not_waited_for() -> None:
    near, far = link(0), link(1)
    near.numbered_at = far.numbered_at = 100.0
    far.distrusted = True
    assert awaited([near, far], 100.0, 0.0) == [near]


def test_where_none_has_brought_anything_all_may() -> None:
    near, far = link(0), link(1, LOSSY)
    assert awaited([near, far], 100.0, 0.0) == [near, far]


def test_a_link_that_has_just_come_up_may_bring_data_at_any_moment() -> None:
    near, far = link(0), link(1)
    near.numbered_at = 104.0
    far.up_at = 103.9
    assert awaited([near, far], 104.0, 0.0) == [near, far]
    assert awaited([near, far], 103.9 + DATA_RECENT, 0.0) == [near]


@pytest.mark.parametrize("fallback", [False, True])
def test_when_data_begins_a_far_link_counts_before_its_first_packet_is_there(fallback: bool) -> None:
    near, far = link(0), link(1, fallback=fallback)
    near.numbered_at = 100.0
    assert awaited([near, far], 100.0, 100.0) == ([near] if fallback else [near, far])
    near.numbered_at = 103.0
    assert awaited([near, far], 103.0, 100.0) == [near]


def test_a_fallback_link_that_brings_data_counts() -> None:
    spare = link(0, fallback=True)
    spare.numbered_at = 100.0
    assert awaited([spare, link(1)], 100.0, 0.0) == [spare]


def test_the_wait_is_the_difference_of_the_links_and_a_little() -> None:
    paths = [link(0, delays=[0.010] * 5), link(1, delays=[0.045] * 5)]
    assert reorder_wait(paths) == pytest.approx(0.035 * (1 + GROWTH) + MIN_WAIT)
    assert reorder_wait(paths[:1]) == pytest.approx(MIN_WAIT)


def test_a_link_without_a_sample_may_be_a_slow_one() -> None:
    assert reorder_wait([]) == UNKNOWN_SPREAD
    assert reorder_wait([link(0, delays=[0.010]), link(1)]) == UNKNOWN_SPREAD
    assert reorder_wait([link(0, delays=[0.010, 0.210, 0.210]), link(1)]) == pytest.approx(
        0.2 * (1 + GROWTH) + MIN_WAIT
    )


def test_a_terrible_link_is_not_waited_for() -> None:
    assert reorder_wait([link(0, delays=[0.010]), link(1, delays=[4.0])]) == MAX_WAIT


# Packets.


@dataclass
class Side:
    """A receiver over up links, fed by packets that are named by their number."""

    links: int = 2
    size: int = 1000
    takes_first: bool = False
    out: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.paths = {number: link(number) for number in range(self.links)}
        self.receiver = Receiver(self.paths, self.size, takes_first=self.takes_first)
        self.seqs = [0] * self.links
        for path in self.paths.values():
            self.new_flow(path.number)

    def new_flow(self, number: int, now: float = 100.0) -> None:
        """A peer that this link has not had says AUTH."""
        path = self.paths[number]
        path.begin_flow(PeerFlow(number, "link", self.seqs[number]), self.seqs[number])
        self.receiver.begin_flow(path, now)
        self.out += [int(packet) for packet in self.receiver.take_freed()]

    def seq(self, number: int) -> int:
        """The next number of the link's own count."""
        self.seqs[number] += 1
        return self.seqs[number]

    def arrive(
        self,
        number: int,
        data_seq: int,
        now: float,
        *,
        name: int | None = None,
        reorder: bool = True,
        sent_at: float | None = None,
        seq: int | None = None,
    ) -> list[int]:
        """A packet comes over a link; returns the names of the packets that leave."""
        path = self.paths[number]
        packet = b"%d" % (data_seq if name is None else name)
        own = self.seq(number) if seq is None else seq
        header = Header(
            len(packet), PacketType.DATA, reorder, stamp(now if sent_at is None else sent_at), 0, 1, own, data_seq
        )
        assert path.flow is not None
        self.receiver.refresh(now)
        self.receiver.measure(path, Admitted(header, packet, path.flow, newest=True, authentic=True), now)
        out = [int(one) for one in self.receiver.receive(path, header, packet, now)]
        self.out += out
        return out

    def expire(self, now: float) -> list[int]:
        """The timer fires."""
        out = [int(one) for one in self.receiver.expire(now)]
        self.out += out
        return out


def test_without_a_buffer_all_passes_as_it_comes() -> None:
    side = Side(size=0)
    assert side.receiver.reorder is None
    assert [side.arrive(0, number, 100.0) for number in (3, 1, 1)] == [[3], [1], [1]]
    assert (side.receiver.due(), side.expire(101.0)) == (None, [])


def test_copies_are_for_those_who_send_some() -> None:
    first, all_ = Side(takes_first=True), Side()
    for side, expected in ((first, [[7], []]), (all_, [[7], [7]])):
        assert [side.arrive(number, 7, 100.0, reorder=False) for number in (0, 1)] == expected
    assert first.paths[1].drops[DropReason.COPY] == 1
    first.receiver.takes_first = True
    assert first.arrive(0, 7, 100.0, reorder=False) == []
    first.receiver.takes_first = False
    assert first.arrive(0, 7, 100.0, reorder=False) == [7]


def test_a_loss_is_known_when_both_links_have_brought_more() -> None:
    side = Side()
    assert side.arrive(0, 0, 100.0) == [0]
    assert side.arrive(0, 2, 100.0) == []
    assert side.arrive(1, 3, 100.0) == [2, 3]


def test_a_link_that_brings_nothing_for_some_time_is_not_waited_for() -> None:
    side = Side()
    for number in range(400):
        side.arrive(0, number, 100.0 + number / 100)
    assert side.arrive(0, 401, 104.0) == [401]


def test_unnumbered_data_does_not_make_a_link_be_waited_for() -> None:
    side = Side()
    for number in range(400):
        side.arrive(0, number, 100.0 + number / 100)
        side.arrive(1, 0, 100.0 + number / 100, reorder=False)
    assert side.arrive(0, 401, 104.0) == [401]


def test_a_link_that_comes_back_is_waited_for_at_once() -> None:
    side = Side()
    for number in range(400):
        side.arrive(0, number, 100.0 + number / 100)
    assert side.arrive(1, 401, 104.0) == []
    assert side.arrive(0, 403, 104.0) == [401]
    assert side.arrive(1, 402, 104.0) == [402, 403]


def test_a_link_that_goes_down_is_not_waited_for() -> None:
    side = Side()
    side.arrive(0, 0, 100.0)
    assert side.arrive(0, 2, 100.0) == []
    side.paths[1].status = DOWN
    side.receiver.lose(100.0)
    assert side.receiver.take_freed() == [b"2"]
    assert side.receiver.take_freed() == []
    assert side.arrive(0, 4, 100.0) == [4]


def test_the_end_of_the_last_link_frees_all_and_ends_the_count() -> None:
    side = Side()
    side.arrive(0, 1000, 100.0)
    side.arrive(0, 1002, 100.0)
    for path in side.paths.values():
        path.status = DOWN
    side.receiver.lose(100.0)
    assert side.receiver.take_freed() == [b"1002"]
    for path in side.paths.values():
        path.status = UP
    assert side.arrive(0, 5, 101.0) == [5]
    assert side.arrive(0, 7, 101.0) == []
    assert side.arrive(1, 6, 101.0) == [6, 7]


def test_another_size_gives_back_what_is_held_and_counts_anew() -> None:
    side = Side()
    side.arrive(0, 1000, 100.0)
    side.arrive(0, 1002, 100.0)
    assert side.receiver.resize(5) == [b"1002"]
    assert side.receiver.reorder is not None
    assert side.receiver.reorder.size == 5
    assert side.arrive(0, 8, 100.0) == [8]


def test_disorder_within_a_link_is_waited_for_as_soon_as_it_is_known() -> None:
    side = Side(links=1)
    side.arrive(0, 0, 100.0, seq=1)
    assert side.arrive(0, 2, 100.000, seq=3, sent_at=99.990) == [2]
    assert side.arrive(0, 1, 100.004, seq=2, sent_at=99.990) == [1]
    assert side.receiver.reorder is not None
    assert side.receiver.reorder.late == 1
    assert side.arrive(0, 4, 100.010, seq=5, sent_at=100.0) == []
    assert side.receiver.due() == pytest.approx(100.014)
    assert side.arrive(0, 3, 100.013, seq=4, sent_at=100.0) == [3, 4]


def test_what_waited_for_us_is_not_the_lines() -> None:
    side = Side(links=1)
    side.arrive(0, 0, 100.0)
    side.arrive(0, 1, 103.0, sent_at=100.1)
    side.arrive(0, 2, 103.0, sent_at=100.2)
    side.receiver.update(103.0)
    assert side.receiver.reorder is not None
    assert side.receiver.reorder.wait == MAX_WAIT
    side.receiver.stood_still()
    side.receiver.update(103.0)
    assert side.receiver.reorder.wait == pytest.approx(MIN_WAIT)


def test_one_stamp_that_jumps_makes_nobody_wait() -> None:
    """The stamp may jump anywhere in its 16 bits. Stamps are not authentic: anything on the path can change one."""
    for jump in (-32.0, -4.9, -1.0, 0.5, 1.0, 4.9, 30.0):
        side = Side(links=2)
        for number in range(20):
            side.arrive(number % 2, number, 100.0 + number * 0.01)
        side.receiver.update(100.2)
        assert side.receiver.reorder is not None
        before = side.receiver.reorder.wait
        side.arrive(0, 20, 100.2, sent_at=100.2 + jump)
        for number in range(21, 60):
            side.receiver.update(100.0 + number * 0.01)
            assert side.receiver.reorder.wait == before
            side.arrive(number % 2, number, 100.0 + number * 0.01)


# A peer that counts anew.


def test_a_peer_that_restarts_on_its_only_link_starts_clean() -> None:
    side = Side(links=1)
    for number in (5, 6, 7):
        side.arrive(0, number, 100.0)
    side.new_flow(0)
    assert side.arrive(0, 6, 100.1) == [6]
    assert side.arrive(0, 7, 100.1) == [7]


@pytest.mark.parametrize("old", [5, 5000, 5_000_000])
def test_stragglers_of_a_peer_that_has_restarted_move_nothing_and_are_delivered(old: int) -> None:
    """C MLVPN counts from 0 again; its links come back one after the other."""
    side = Side()
    for number in range(100):
        side.arrive(number % 2, old + number, 97.0 + number / 1000)
    side.new_flow(0)
    assert side.arrive(0, 0, 100.0, name=10**9) == [10**9]
    for straggler in (old + 100, old + 3, old + 90, old + 102):
        assert side.arrive(1, straggler, 100.01) == [straggler]
    assert side.arrive(0, 1, 100.02) == [1]
    side.new_flow(1)
    assert side.arrive(0, 3, 100.03) == []
    assert side.arrive(1, 2, 100.04) == [2, 3]


def test_a_link_that_was_made_anew_goes_on_with_the_count() -> None:
    """A reload of the peer: the flow is new, but the peer's process lives on."""
    side = Side()
    for number in range(100):
        side.arrive(number % 2, number, 97.0)
    side.new_flow(1)
    assert side.arrive(0, 101, 100.0) == []
    assert side.arrive(1, 100, 100.0) == [100, 101]
    assert side.arrive(1, 103, 100.0) == []
    assert side.arrive(0, 102, 100.0) == [102, 103]


def test_a_late_first_number_of_a_new_flow_says_nothing() -> None:
    side = Side()
    for number in range(100):
        if number != 98:
            side.arrive(number % 2, number, 97.0)
    side.expire(98.0)
    side.new_flow(1)
    assert side.arrive(1, 98, 100.0) == [98]
    assert side.arrive(0, 101, 100.0) == []
    assert side.arrive(1, 100, 100.0) == [100, 101]


def test_an_old_flow_that_goes_on_is_no_straggler() -> None:
    """Somebody forged a number of a new flow. It does not shut out the other link for long."""
    side = Side()
    for number in range(100):
        side.arrive(number % 2, number, 97.0)
    side.new_flow(0)
    side.arrive(0, 10_000_000, 100.0)
    for number in range(100, 200):
        assert side.arrive(1, number, 100.1) == [number]
    assert side.arrive(1, 10_000_002, 101.5) == []
    assert side.arrive(0, 10_000_001, 101.5) == [10_000_001, 10_000_002]


# Blind striping, as C MLVPN does it, over simulated lines.


@dataclass
class Stripes:
    """What became of packets that were sent over lines in turn, one each `interval`, for `seconds`."""

    delays: tuple[float, ...]
    loss: tuple[float, ...] = (0.0, 0.0)
    jitter: tuple[float, ...] = (0.0, 0.0)
    pace: tuple[float, ...] = (0.0, 0.0)
    """Seconds that a packet takes on a line, for each line."""
    interval: float = 0.0005
    seconds: float = 5.0
    order: list[int] = field(default_factory=list)
    holes: list[float] = field(default_factory=list)
    """Seconds that each packet behind a lost one waited."""

    def __post_init__(self) -> None:
        chance = random.Random(1)
        self.side = side = Side(links=len(self.delays))
        arrivals: list[tuple[float, int, int, int, float]] = []
        for path in side.paths.values():  # a KEEPALIVE, before there is data
            transit_of(path).received(stamp(99.0), 99.0 + self.delays[path.number])
        self.lost: set[int] = set()
        free = [0.0] * len(self.delays)
        for number in range(int(self.seconds / self.interval)):
            line, sent_at = number % len(self.delays), 100.0 + number * self.interval
            seq = side.seq(line)
            if number and chance.random() < self.loss[line]:
                self.lost.add(number)
                continue
            free[line] = max(free[line], sent_at) + self.pace[line]
            at = free[line] + self.delays[line] + chance.random() * self.jitter[line]
            heapq.heappush(arrivals, (at, number, line, seq, sent_at))
        came: dict[int, float] = {}
        while arrivals:
            at, number, line, seq, sent_at = heapq.heappop(arrivals)
            while (due := side.receiver.due()) is not None and due <= at:
                self._leave(side.expire(due), due, came)
            came[number] = at
            self._leave(side.arrive(line, number, at, sent_at=sent_at, seq=seq), at, came)
        assert len(side.out) == len(set(side.out)) == len(came)

    def _leave(self, numbers: list[int], now: float, came: dict[int, float]) -> None:
        self.holes += [now - came[number] for number in numbers if number - 1 in self.lost]

    @property
    def overtaken(self) -> int:
        """Packets that left behind a later one."""
        return sum(before > after for before, after in pairwise(self.side.out))


def test_unlike_lines_without_loss_deliver_everything_in_order() -> None:
    stripes = Stripes((0.010, 0.040))
    assert stripes.side.out == list(range(10_000))
    assert stripes.overtaken == 0


def test_a_loss_on_unlike_lines_holds_nobody_longer_than_their_difference() -> None:
    stripes = Stripes((0.010, 0.040), loss=(0.0, 0.01))
    assert len(stripes.holes) > 30
    assert stripes.overtaken == 0
    assert max(stripes.holes) <= 0.030 * (1 + GROWTH) + MIN_WAIT + 0.001


def test_on_like_lines_a_loss_is_known_by_the_next_packets() -> None:
    stripes = Stripes((0.020, 0.020), loss=(0.01, 0.01))
    assert len(stripes.holes) > 60
    assert stripes.overtaken == 0
    assert statistics.median(stripes.holes) < 0.002
    assert max(stripes.holes) < 0.005


def test_a_queue_that_grows_on_one_line_costs_no_order() -> None:
    """Each line gets a packet a millisecond, and one takes longer: in a second, its queue is 200 ms."""
    stripes = Stripes((0.010, 0.010), pace=(0.0, 0.0012), seconds=1.0)
    assert stripes.side.out == list(range(2000))


def test_a_line_that_reorders_costs_its_disorder_and_little_order() -> None:
    stripes = Stripes((0.020, 0.020), loss=(0.0, 0.01), jitter=(0.0, 0.004))
    assert len(stripes.holes) > 30
    assert max(stripes.holes) <= 0.004 * (1 + GROWTH) + 0.004 + MIN_WAIT
    assert stripes.overtaken < 20
