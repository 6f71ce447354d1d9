"""The paced schedule over lines in simulated time: what lines carry, in what order, and how long small packets wait."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from mlvpnd.protocol.sending.line import SECOND, Item
from mlvpnd.protocol.sending.paced import LineParameters, PacedScheduler
from mlvpnd.protocol.wire.inner import Kind

MS = 1_000_000
SIZE = 1514
PING = 126


@dataclass
class World:
    """Lines whose modems have no rate but the one that they are given; timers are up to 1 ms late."""

    lines: dict[int, LineParameters]
    scheduler: PacedScheduler = field(init=False)
    carried: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    arrived: list[tuple[int, int]] = field(default_factory=list)
    """Of each packet: when it arrived, and its number."""
    pings: list[int] = field(default_factory=list)
    """Nanoseconds of small packets from the interface to the peer."""
    bulk: list[int] = field(default_factory=list)
    """Nanoseconds of all other packets from the interface to the peer."""
    now: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    busy_until: dict[int, int] = field(init=False)
    modem: int = 0
    """Nanoseconds of the longest queue in any modem."""

    def __post_init__(self) -> None:
        self.scheduler = PacedScheduler(0)
        self.scheduler.set_lines(self.lines, 0)
        self.busy_until = dict.fromkeys(self.lines, 0)

    def run(self, seconds: float, offered: float) -> None:
        """Sends `offered` bytes per second in one flow, and a small packet every 20 ms."""
        begun = now = pinged = self.now
        sent, refreshed, busy_until = 0, now, self.busy_until
        while now < begun + seconds * SECOND:
            now += MS + self.chance.randrange(MS)
            if now >= refreshed + 100 * MS:
                self.scheduler.set_lines(self.lines, now)
                refreshed = now
            while sent < offered * (now - begun) / SECOND:
                self.scheduler.put(Kind.BULK, 1, now.to_bytes(8), SIZE, now)
                sent += SIZE
            if now >= pinged:
                self.scheduler.put(Kind.SMALL, 2, now.to_bytes(8), PING, now)
                pinged = now + 20 * MS
            for number, item in self.scheduler.take(now):
                line = self.lines[number]
                busy_until[number] = max(busy_until[number], now) + item.size * SECOND // line.rate
                self.modem = max(self.modem, busy_until[number] - now)
                self.carried[number] += item.size
                arrival = busy_until[number] + line.delay
                if item.reorder:
                    self.arrived.append((arrival, item.data_seq))
                    self.bulk.append(arrival - int.from_bytes(item.packet))
                else:
                    self.pings.append(arrival - int.from_bytes(item.packet))
        self.now = now

    def lateness(self, after: int) -> int:
        """The most nanoseconds that a packet arrived behind a later one, of packets that arrived from `after` on."""
        worst, earliest = 0, 1 << 62
        for at, _ in sorted(self.arrived, key=lambda one: -one[1]):
            if at >= after:
                worst = max(worst, at - earliest)
                earliest = min(earliest, at)
        return worst


def mbit(rate: float, delay: float, priority: int = 0, *, spare: bool = False) -> LineParameters:
    return LineParameters(int(rate * 125_000), int(delay * MS), priority, spare)


PROFILES = {
    "equal": [mbit(20, 15), mbit(20, 15)],
    "rates": [mbit(50, 15), mbit(10, 15)],
    "delays": [mbit(20, 10), mbit(20, 40)],
    "four": [mbit(10, 10), mbit(10, 15), mbit(10, 20), mbit(10, 30)],
    "fibre and lte": [mbit(100, 5), mbit(30, 40)],
    "dsl and satellite": [mbit(20, 15), mbit(50, 300)],
}


@pytest.mark.parametrize("profile", PROFILES)
def test_lines_are_full_packets_in_order_modems_empty_and_small_things_quick(profile: str) -> None:
    lines = dict(enumerate(PROFILES[profile]))
    total = sum(line.rate for line in lines.values())
    world = World(lines)
    world.run(3, 1.2 * total)
    assert sum(world.carried.values()) >= 0.975 * 3 * total
    assert world.lateness(after=SECOND) <= 4 * MS
    assert world.modem <= 8 * MS
    assert max(world.pings) <= min(line.delay for line in lines.values()) + 12 * MS


def test_a_light_load_takes_the_line_where_it_arrives_first() -> None:
    world = World({0: mbit(20, 10), 1: mbit(20, 40)})
    world.run(1, 1_000_000)
    assert world.carried[1] == 0


@pytest.mark.parametrize(
    ("near", "far", "hold"),
    [
        (10, 40, 12.5),
        (5, 40, 19.25),
        (15, 20, 0),
        (15, 300, 0),  # too far for anybody to wait so long
    ],
)
def test_bulk_is_held_for_a_near_line_until_half_of_the_far_round_trip(near: int, far: int, hold: float) -> None:
    world = World({0: mbit(20, near), 1: mbit(20, far)})
    world.run(2, 100_000)
    # A packet takes 0.6 ms. Timers are late by 2 ms twice: to commit it, and to let it go.
    assert near + hold <= min(world.bulk) / MS <= max(world.bulk) / MS <= near + hold + 5
    assert max(world.pings) / MS <= near + 5
    assert world.lateness(after=0) == 0


@pytest.mark.parametrize(("near", "far", "hold"), [(7, 40, 19.25), (9, 40, 19.25), (200, 200, 0)])
def test_queues_of_near_lines_count_for_nothing_in_that(near: int, far: int, hold: float) -> None:
    least = {0: 5 * MS, 1: 40 * MS}
    lines = {0: mbit(20, near), 1: mbit(20, far)}
    world = World({number: replace(line, least_delay=least[number]) for number, line in lines.items()})
    world.run(0.3, 100_000)
    assert near + hold <= min(world.bulk) / MS <= near + hold + 5


@pytest.mark.parametrize(("delay", "least"), [(40, 4), (40, 12), (30, 4), (100, 10), (300, 20)])
def test_nothing_is_held_where_queues_make_all_lines_far(delay: int, least: int) -> None:
    """The lines have queues where `bandwidth_upload` is more than a line has."""
    lines = {number: replace(mbit(20, delay), least_delay=least * MS) for number in (0, 1)}
    world = World(lines)
    world.run(0.3, 1_000_000)
    assert max(world.bulk) / MS <= delay + 5


def test_what_waits_behind_queues_is_given_out_at_the_end() -> None:
    scheduler = PacedScheduler(0)
    scheduler.set_lines({number: replace(mbit(20, 40), least_delay=4 * MS) for number in (0, 1)}, 0)
    for number in range(60):
        scheduler.put(Kind.BULK, 1, bytes([number]), 1500, 0)
    assert len(scheduler.drain(0)) == 60


def test_what_is_between_the_near_and_a_line_too_far_counts() -> None:
    world = World({0: mbit(20, 10), 1: mbit(20, 40), 2: mbit(20, 300)})
    world.run(1, 100_000)
    assert min(world.bulk) >= 22.5 * MS


SATELLITE = [mbit(20, 15), mbit(50, 300)]


def stretched(lines: list[LineParameters], seconds: float, offered: float) -> World:
    """A world in which flow 1 is stretched from 8.6 s on."""
    world = World(dict(enumerate(lines)))
    world.run(8.6, lines[0].rate)
    world.run(seconds, offered)
    return world


def test_a_flow_that_fills_near_lines_for_long_is_delivered_as_late_as_by_a_far_one_until_it_pauses() -> None:
    world = stretched(SATELLITE, 1.5, 1_250_000)
    by_number = sorted(zip(world.arrived, world.bulk, strict=True), key=lambda one: one[0][1])
    assert all(after - before <= 40 * MS for (_, before), (_, after) in pairwise(by_number))
    assert max(world.bulk) >= 300 * MS
    world.bulk.clear()
    world.run(2, 6_250_000)
    assert world.lateness(after=0) <= 4 * MS
    assert 300 * MS <= min(world.bulk) <= max(world.bulk) <= 305 * MS
    assert max(world.pings) <= 27 * MS
    assert min(world.carried.values()) >= SIZE
    world.now += SECOND
    world.run(0.2, 100_000)
    world.bulk.clear()
    world.run(1, 100_000)
    assert max(world.bulk) <= 20 * MS


def test_all_lines_are_full_then_and_other_flows_are_not_delayed() -> None:
    world = stretched(SATELLITE, 4, 1.2 * 8_750_000)
    before = dict(world.carried)
    world.run(2, 1.2 * 8_750_000)
    for number, line in world.lines.items():
        assert world.carried[number] - before[number] >= 0.975 * 2 * line.rate
    # What waits is enough for the round trip of the stretched flow.
    assert 530 * MS <= max(world.bulk[-500:]) <= 610 * MS
    world.scheduler.put(Kind.BULK, 7, b"", SIZE, world.now)
    ((number, item),) = [taken for taken in world.scheduler.take(world.now + 2 * MS) if not taken[1].packet]
    assert (number, item.reorder) == (0, False)


def test_what_may_wait_is_enough_from_the_first_packet_that_is_stretched() -> None:
    world = stretched(SATELLITE, 0, 0)
    for _ in range(1000):
        world.scheduler.put(Kind.BULK, 1, b"", SIZE, world.now + 10 * MS)
    assert world.scheduler.waiting_bytes >= 1000 * SIZE
    assert world.scheduler.dropped == 0


@pytest.mark.parametrize("lines", [[mbit(20, 15), mbit(9, 300)], [mbit(20, 10), mbit(20, 40)], [mbit(20, 15)] * 2])
def test_nothing_is_stretched_where_lines_are_reachable_or_the_far_one_is_not_worth_it(
    lines: list[LineParameters],
) -> None:
    world = stretched(lines, 2, lines[0].rate)
    assert max(world.bulk) <= 50 * MS


def test_a_near_line_that_was_idle_has_nothing_to_catch_up_with_other_flows() -> None:
    world = stretched(SATELLITE, 0.5, 1_250_000)
    scheduler, now = world.scheduler, world.now
    while (due := scheduler.due()) is not None:
        now = due
        scheduler.take(now)
    now += SECOND
    for _ in range(20):
        scheduler.put(Kind.BULK, 7, b"", SIZE, now)
    assert [number for number, _ in scheduler.take(now)] == [0]


def test_short_segments_go_first_if_their_flow_has_no_others() -> None:
    scheduler = PacedScheduler(0)
    scheduler.set_lines({0: mbit(20, 10), 1: mbit(20, 40)}, 0)

    def leaves(kind: Kind, flow: int, now: int) -> Item:
        scheduler.put(kind, flow, b"x", 100, now)
        while not (out := scheduler.take(now)):
            now = scheduler.due() or now
        ((_, item),) = out
        return item

    assert not leaves(Kind.SHORT, 1, 0).reorder
    assert leaves(Kind.BULK, 1, SECOND).reorder
    assert leaves(Kind.SHORT, 1, 2 * SECOND - 1).reorder
    assert not leaves(Kind.SHORT, 2, 2 * SECOND - 1).reorder
    assert not leaves(Kind.SHORT, 1, 2 * SECOND).reorder


def test_a_higher_tier_takes_only_what_overflows() -> None:
    lines = {0: mbit(20, 15), 1: mbit(20, 15, priority=1)}
    light = World(lines)
    light.run(2, 0.9 * lines[0].rate)
    assert light.carried[1] == 0
    heavy = World(lines)
    heavy.run(2, 3 * lines[0].rate)
    assert heavy.carried[1] >= 0.95 * 2 * lines[1].rate


@pytest.mark.parametrize("delays", [(15, 15), (30, 15), (15, 30), (100, 15)])
def test_a_spare_line_takes_what_has_waited_for_half_a_round_trip_in_order(delays: tuple[int, int]) -> None:
    good, spare = mbit(20, delays[0]), mbit(20, delays[1], spare=True)
    world = World({0: good, 1: spare})
    world.run(2, 1.3 * good.rate)
    late = max(good.delay + min(max(good.delay, 15 * MS), 60 * MS), spare.delay)
    # What is in the queue leaves faster than by the good line alone.
    assert good.delay + 0.75 * (late - good.delay) <= max(world.bulk[-500:]) <= late + 4 * MS
    assert 0.25 * 2 * good.rate <= world.carried[1] <= 0.31 * 2 * good.rate
    assert world.lateness(after=0) <= 4 * MS
    assert max(world.pings) <= min(good.delay, spare.delay + 15 * MS) + 12 * MS


def test_what_is_held_for_a_near_line_does_not_wait_for_a_spare_one() -> None:
    """The far line takes what overflows before the spare one: it loses nothing, and bulk is held for its sake."""
    lines = {0: mbit(40, 9), 1: mbit(25, 39), 2: mbit(15, 20, spare=True)}
    for load, used in ((0.9, {0}), (1.4, {0, 1}), (2.2, {0, 1, 2})):
        world = World(lines)
        world.run(2, load * lines[0].rate)
        assert {number for number, carried in world.carried.items() if carried} == used
        assert world.lateness(after=SECOND) <= 4 * MS


@pytest.mark.parametrize(("good", "spare"), [((50, 5), (5, 40)), ((5, 40), (50, 5)), ((20, 15), (20, 15))])
def test_a_spare_line_is_full_when_there_is_enough(good: tuple[float, float], spare: tuple[float, float]) -> None:
    world = World({0: mbit(*good), 1: mbit(*spare, spare=True)})
    world.run(2, 1.3 * sum(line.rate for line in world.lines.values()))
    for number, line in world.lines.items():
        assert world.carried[number] >= 0.95 * 2 * line.rate
    assert world.lateness(after=SECOND) <= 4 * MS


def test_a_spare_line_comes_after_the_lines_of_its_tier_and_before_those_of_the_next() -> None:
    lines = {0: mbit(20, 15), 1: mbit(20, 15, spare=True), 2: mbit(20, 15, priority=1)}
    for load, used in ((0.9, {0}), (1.5, {0, 1}), (3.0, {0, 1, 2})):
        world = World(lines)
        world.run(2, load * lines[0].rate)
        assert {number for number, carried in world.carried.items() if carried} == used


def test_a_spare_line_is_like_any_where_there_is_no_better_one() -> None:
    world = World({0: mbit(20, 15, spare=True), 1: mbit(20, 15, priority=1)})
    world.run(1, 0.9 * world.lines[0].rate)
    assert world.carried[1] == 0
    assert max(world.pings) <= 17 * MS


def test_what_was_committed_to_a_line_that_leaves_goes_by_the_others_with_its_numbers() -> None:
    scheduler = PacedScheduler(100)
    lines = {0: mbit(10, 10), 1: mbit(10, 40)}
    scheduler.set_lines(lines, 0)
    for _ in range(60):
        scheduler.put(Kind.BULK, 1, bytes(20), SIZE, 0)
    out = [item for _, item in scheduler.take(0)]
    scheduler.set_lines({1: lines[1]}, MS)
    now = MS
    while scheduler.waiting_bytes:
        taken = scheduler.take(now)
        assert {number for number, _ in taken} <= {1}
        out += [item for _, item in taken]
        now = scheduler.due() or now
    assert sorted(item.data_seq for item in out) == list(range(100, 160))
    assert scheduler.dropped == 0


def leaving(scheduler: PacedScheduler, now: int) -> list[Item]:
    """All that waits, in the order in which it leaves."""
    out: list[Item] = []
    while scheduler.waiting_bytes:
        out += [item for _, item in scheduler.take(now)]
        now = scheduler.due() or now
    return out


def test_flows_keep_their_order_and_share_what_is_left_when_a_line_goes() -> None:
    lines = {0: mbit(100, 5), 1: mbit(10, 300)}
    scheduler = PacedScheduler(0)
    scheduler.set_lines(lines, 0)
    for number in range(2400):
        scheduler.put(Kind.BULK, number % 3, b"%d %04d" % (number % 3, number), SIZE, 0)
    before = len(scheduler.take(0))
    scheduler.set_lines({1: lines[1]}, MS)
    left = leaving(scheduler, MS)
    assert before + len(left) + scheduler.dropped == 2400
    for flow in (b"0", b"1", b"2"):
        own = [item.packet for item in left if item.packet[:1] == flow]
        assert own == sorted(own)
        assert len(own) >= len(left) // 3 - 2
    # As much may wait as leaves in 0.1 s. Besides, the slow line had been given its packet.
    assert 0.1 * lines[1].rate - SIZE <= SIZE * len(left) <= 0.1 * lines[1].rate + 12 * SIZE
    assert len({item.data_seq for item in left}) == len(left)


def test_small_packets_of_a_line_that_goes_go_first_on_others_and_leave_room_for_those_that_come() -> None:
    lines = {0: mbit(100, 5), 1: mbit(1, 50)}
    scheduler = PacedScheduler(0)
    scheduler.set_lines(lines, 0)
    for number in range(300):
        scheduler.put(Kind.SMALL, number, b"%03d" % number, PING, 0)
    for data_seq in (0, 5):
        scheduler.put_on(0, Item(b"rule", PING, data_seq, reorder=False), 1, 0, first=True)
    before = scheduler.dropped
    scheduler.set_lines({1: lines[1]}, 0)
    assert scheduler.dropped == before + 1  # the copy is dropped: another copy goes by another line
    scheduler.put(Kind.SMALL, 400, b"new", PING, 0)
    left = [item.packet for item in leaving(scheduler, 0)]
    assert left[:10] == [b"%03d" % number for number in range(9)] + [b"new"]


def test_a_line_that_takes_long_for_a_packet_is_given_the_next_one_in_time() -> None:
    scheduler = PacedScheduler(0)
    scheduler.set_lines({0: LineParameters(16_000, 0)}, 0)
    for _ in range(3):
        scheduler.put(Kind.BULK, 1, bytes(20), SIZE, 0)
    left = []
    now: int | None = 0
    while now is not None:
        left += [now for _ in scheduler.take(now)]
        now = scheduler.due()
    assert left == [0, SIZE * SECOND // 16_000, 2 * (SIZE * SECOND // 16_000)]


@pytest.mark.parametrize("rates", [(16_000, 125_000), (125_000, 16_000), (16_000, 16_000)])
def test_slow_lines_are_given_packets_in_time_and_nobody_asks_before(rates: tuple[int, int]) -> None:
    scheduler = PacedScheduler(0)
    scheduler.set_lines({number: LineParameters(rate, 0) for number, rate in enumerate(rates)}, 0)
    for _ in range(60):
        scheduler.put(Kind.BULK, 1, bytes(20), SIZE, 0)
    now, carried = 0, [0, 0]
    while now < SECOND // 2:
        for number, item in scheduler.take(now):
            carried[number] += item.size
        due = scheduler.due()
        assert due is not None
        assert due > now
        now = due
    for rate, size in zip(rates, carried, strict=True):
        assert abs(size - rate // 2) <= SIZE or rate < max(rates)  # a packet would arrive later by the slower line
    assert len(scheduler.drain(now)) == 60 - sum(carried) // SIZE


def test_without_lines_everything_is_dropped_and_counted() -> None:
    scheduler = PacedScheduler(0)
    scheduler.set_lines({0: mbit(1, 1)}, 0)
    for _ in range(5):
        scheduler.put(Kind.BULK, 1, bytes(20), SIZE, 0)
    for first in (False, True):
        scheduler.put_on(0, Item(bytes(20), SIZE, 0, reorder=False), 1, 0, first=first)
    scheduler.set_lines({}, 0)
    scheduler.put(Kind.SMALL, 1, bytes(20), PING, 0)
    assert (scheduler.dropped, scheduler.waiting_bytes, scheduler.due()) == (8, 0, None)


def test_a_near_line_that_becomes_spare_holds_nothing_more() -> None:
    lines = {0: mbit(20, 10), 1: mbit(20, 40)}
    spare = {**lines, 0: mbit(20, 10, spare=True)}
    taken = []
    for before in (spare, lines):
        scheduler = PacedScheduler(0)
        scheduler.set_lines(before, 0)
        scheduler.set_lines(spare, 0)
        for _ in range(300):
            scheduler.put(Kind.BULK, 1, bytes(20), SIZE, 0)
        taken.append([(now, number) for now in range(0, 100 * MS, MS) for number, _ in scheduler.take(now)])
    assert taken[0] == taken[1]
    assert {number for _, number in taken[0]} == {0, 1}


def test_a_line_slower_than_there_are_flows_is_used_all_the_same() -> None:
    scheduler = PacedScheduler(0)
    scheduler.set_lines({0: LineParameters(1, 0)}, 0)
    for flow in range(2):
        scheduler.put(Kind.BULK, flow, bytes(20), SIZE, 0)
    scheduler.put(Kind.SMALL, 3, b"small", PING, 0)
    assert [item.packet for _, item in scheduler.take(0)] == [b"small"]


def test_a_flood_of_small_packets_has_its_share_and_no_more() -> None:
    lines = {0: mbit(10, 10)}
    scheduler = PacedScheduler(0)
    scheduler.set_lines(lines, 0)
    carried = {True: 0, False: 0}
    for step in range(1000):
        now = step * MS
        for _ in range(20):
            scheduler.put(Kind.SMALL, 1, b"", PING, now)
        scheduler.put(Kind.BULK, 2, b"", SIZE, now)
        for _, item in scheduler.take(now):
            carried[item.size == SIZE] += item.size
    assert 0.3 * lines[0].rate <= carried[True] <= 0.7 * lines[0].rate
    assert carried[False] >= 0.3 * lines[0].rate
    assert scheduler.waiting_bytes <= 300_000


def test_a_queue_of_its_own_for_what_is_sent_to_one_line() -> None:
    scheduler = PacedScheduler(0)
    scheduler.set_lines({0: mbit(10, 10), 1: mbit(10, 10)}, 0)
    for first in (True, False):
        scheduler.put_on(1, Item(bytes([first]), SIZE, 0, reorder=False), 1, 0, first=first)
    taken = scheduler.take(10 * MS)
    assert [(number, item.packet, item.reorder) for number, item in taken] == [(1, b"\1", False), (1, b"\0", False)]
    assert scheduler.earliest([0, 1], 10 * MS) == 0
