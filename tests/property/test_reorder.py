"""The reorder buffer under any arrival: nothing lost, nothing twice, nothing held too long, and order if possible."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from mlvpnd.protocol.receiving.reorder import STRAYS, ReorderBuffer

MODULUS = 1 << 64
TICK = 2.0**-10
"""Seconds, about a millisecond. Times are its multiples, and their sums are exact: no deadline depends on rounding."""
WAIT = 50 * TICK
FIRSTS = st.sampled_from([0, 1, 500, 1 << 32, MODULUS - 3, MODULUS - 200])
DELAYS = st.lists(
    st.sampled_from([0.0, TICK, 10 * TICK, 30 * TICK, 60 * TICK, 200 * TICK, None]), min_size=1, max_size=120
)
"""Time of each packet on its way; None: for ever."""
LINKS = st.dictionaries(st.integers(0, 3), st.sampled_from([0.0, TICK, 20 * TICK, 400 * TICK]))
"""The links that are waited for, each with its disorder. Packets come over 0 to 2."""
SIZES = st.one_of(st.integers(1, 20), st.sampled_from([63, 64, 65, 512, 1000]))


@dataclass
class Run:
    """Feeds a buffer in order of arrival, fires its timer on time, and notes what comes out and when."""

    size: int
    links: dict[int, float]
    wait: float = WAIT
    out: list[int] = field(default_factory=list)
    late: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.buffer = ReorderBuffer(self.size, self.wait)
        self.buffer.set_links(self.links)
        self.arrived_at: dict[int, float] = {}
        self.now = 0.0

    def feed(self, first: int, delays: list[float | None], start: float, interval: float) -> None:
        """Feeds packets from `first` on, sent every `interval` over three links in turn."""
        sent = [(start + index * interval + delay, index) for index, delay in enumerate(delays) if delay is not None]
        for at, index in sorted(sent):
            self.until(at)
            number = (first + index) % MODULUS
            self.arrived_at[number] = at
            late = self.buffer.late
            self.took(self.buffer.push(number, b"%d" % number, at, index % 3))
            if self.buffer.late > late:
                self.late.add(number)
            assert len(self.buffer) <= self.size

    def until(self, at: float) -> None:
        """The time goes on to `at`."""
        while (due := self.buffer.deadline()) is not None and due <= at:
            self.now = due
            self.took(self.buffer.expire(due))
            again = self.buffer.deadline()
            assert again is None or again > due
        self.now = at

    def took(self, packets: list[bytes]) -> None:
        for packet in packets:
            number = int(packet)
            assert self.now <= self.arrived_at[number] + self.wait + 1e-9, "held for too long"
            self.out.append(number)


def in_order(run: Run, first: int) -> bool:
    """Whether the numbers grow, without those that came after their hole had been given up."""
    places = [(number - first) % MODULUS for number in run.out if number not in run.late]
    return places == sorted(places)


@given(FIRSTS, DELAYS, SIZES, LINKS, st.sampled_from([0.0, 0.0005, 0.005, 0.1]), st.booleans())
@example(0, [0.2, 0.0, 0.0], 1, {3: 0.0}, 0.001, False)
@example(MODULUS - 1, [0.0, 0.06, 0.0, 0.03], 3, {3: 0.0}, 0.001, True)
@example(0, [0.0, None, 0.0, 0.0, 0.0], 3, {0: TICK, 1: 0.0, 2: 20 * TICK}, 0.001, True)
def test_nothing_lost_nothing_twice_in_order_in_time(
    first: int, delays: list[float | None], size: int, links: dict[int, float], interval: float, timer: bool
) -> None:
    run = Run(size, links)
    run.feed(first, delays, 0.0, interval)
    if timer:
        run.until(1000.0)
        assert len(run.buffer) == 0
    else:
        run.took(run.buffer.flush())
    assert sorted(run.out) == sorted(run.arrived_at)
    # The first arrival sets the count: smaller numbers are late.
    assert in_order(run, next(iter(run.arrived_at), 0))
    assert run.buffer.duplicates == 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=120),
    st.permutations([0.0, 10 * TICK, 45 * TICK]),
    FIRSTS,
)
def test_where_lines_keep_order_so_does_the_whole(
    packets: list[tuple[int, bool]], delays: list[float], first: int
) -> None:
    """Whatever is lost: no hole that will be filled is given up, and none is waited for longer than necessary."""
    run = Run(1000, dict.fromkeys(range(3), 0.0))
    arrivals = sorted(
        (index * TICK + delays[link], index, link) for index, (link, lost) in enumerate(packets) if not lost
    )
    for at, index, link in arrivals:
        run.until(at)
        number = (first + index) % MODULUS
        run.arrived_at[number] = at
        run.took(run.buffer.push(number, b"%d" % number, at, link))
    run.until(1000.0)
    begin = arrivals[0][1] if arrivals else 0
    before = sum(index < begin for _, index, _ in arrivals)
    assert run.buffer.late == before
    places = [place for number in run.out if (place := (number - first) % MODULUS) >= begin]
    assert places == sorted(places)
    assert len(places) + before == len(arrivals)


@given(DELAYS, DELAYS, SIZES, LINKS, st.integers(1 << 17, (1 << 63) - (1 << 12)))
def test_a_count_that_goes_on_far_ahead(
    before: list[float | None], after: list[float | None], size: int, links: dict[int, float], new: int
) -> None:
    run = Run(size, links)
    run.feed(0, before, 0.0, TICK)
    run.feed(new, after, run.now + 200 * TICK, TICK)
    run.took(run.buffer.flush())
    assert sorted(run.out) == sorted(run.arrived_at)
    later = [number for number in run.out if number >= new]
    assert run.out[len(run.out) - len(later) :] == later
    if later:
        anew = Run(size, links)
        anew.feed(new, after, 0.0, TICK)
        anew.took(anew.buffer.flush())
        assert later == anew.out


@given(
    st.integers(1, 3000),
    st.sets(st.integers(0, 3000)),
    st.integers(0, 3000) | st.integers(0, MODULUS - 1),
    SIZES,
    LINKS,
)
def test_whatever_the_peer_counts_from_next_little_of_it_is_refused(
    count: int, lost: set[int], new: int, size: int, links: dict[int, float]
) -> None:
    """No new flow says that the peer counts anew."""
    run = Run(size, links)
    for number in range(count):
        if number not in lost:
            run.buffer.push(number, b"%d" % number, 0.0, 0)
    run.buffer.expire(10.0)
    refused = run.buffer.duplicates
    out: list[bytes] = []
    for index in range(STRAYS + 200):
        out += run.buffer.push((new + index) % MODULUS, b"new", 10.0, index % 3)
    out += run.buffer.flush()
    refused = run.buffer.duplicates - refused
    assert refused < STRAYS
    assert out.count(b"new") == STRAYS + 200 - refused


@given(st.permutations(range(10)), SIZES.filter(lambda size: size >= 10))
def test_within_size_and_wait_order_is_perfect(arrival: list[int], size: int) -> None:
    buffer = ReorderBuffer(size, WAIT)
    buffer.set_links({1: 0.0})
    out = buffer.push(100, b"100", 0.0, 0)
    for number in arrival:
        out += buffer.push(101 + number, b"%d" % (101 + number), 0.0, 0)
    assert out == [b"%d" % number for number in range(100, 111)]


@given(
    st.lists(st.tuples(st.integers(0, MODULUS - 1) | st.integers(0, 40), st.floats(0, 0.1), st.integers(0, 2))),
    SIZES,
    LINKS,
)
def test_any_numbers_at_all(pushes: list[tuple[int, float, int]], size: int, links: dict[int, float]) -> None:
    """No forged number makes the buffer hold more, or longer, or lose count."""
    buffer, now, out, pushed = ReorderBuffer(size, WAIT), 0.0, 0, 0
    buffer.set_links(links)
    for number, pause, link in pushes:
        now += pause
        out += len(buffer.expire(now))
        out += len(buffer.push(number, b"", now, link))
        pushed += 1
        assert len(buffer) <= size
        assert out + len(buffer) + buffer.duplicates == pushed
        due = buffer.deadline()
        assert due is None or now < due <= now + WAIT
    assert out + len(buffer.flush()) + buffer.duplicates == pushed
    assert buffer.deadline() is None
