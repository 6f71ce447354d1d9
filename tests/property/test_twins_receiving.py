"""The twins of the receiving side: to every question both answer the same, and their states look the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from mlvpnd.dataplane.binding.flows import NativePeerFlow
from mlvpnd.protocol.receiving import copies, loss, reorder, rtt, transit
from mlvpnd.protocol.wire import replay
from mlvpnd.protocol.wire.constants import CLEAR_WINDOW_SIZE, NO_TIMESTAMP, REPLAY_WINDOW_SIZE
from tests.support import native_parts

TOP = (1 << 64) - 1
FIRSTS = st.sampled_from([0, 1, 100, 1 << 20, (1 << 63) - 10, TOP - 5000, TOP - 3, TOP])
EDGES = [
    sign * far + near
    for sign in (1, -1)
    for far in (REPLAY_WINDOW_SIZE, 1 << 16, loss.JUMP, 1 << 40)
    for near in (-1, 0, 1)
]
CLOSE = st.integers(-5, 6)
STEPS = st.one_of(CLOSE, st.integers(-70, 70), st.integers(-5000, 5000), st.sampled_from(EDGES))
PAUSES = st.sampled_from([0.0, 0.0, 0.0003, 0.003, 0.07, 0.1, 0.9, 1.3, 2.5, 6.0])
CLOCKS = st.sampled_from([0.0, 17.25, 65.5, 1e6 + 0.123])
STAMPS = st.integers(0, 0xFFFF) | st.sampled_from([NO_TIMESTAMP, NO_TIMESTAMP - 1, 0])


def outcome(call: Callable[..., object], *args: object) -> tuple[type, object]:
    """The result of a call with its type, or what it raises."""
    try:
        result = call(*args)
    except Exception as error:
        return type(error), None
    return type(result), result


class Twins:
    """One object of each twin."""

    def __init__(self, name: str, module: Any, *args: object, look: str = "") -> None:
        self.both = [getattr(part, name)(*args) for part in (module, native_parts)]
        self._look = look.split()
        self.compare()

    def ask(self, method: str, *args: object) -> object:
        """Calls the method of both; returns the result."""
        reference, native = (outcome(getattr(one, method), *args) for one in self.both)
        assert native == reference, (method, args)
        self.compare()
        return reference[1]

    def compare(self) -> None:
        for name in self._look:
            reference, native = (getattr(one, name) for one in self.both)
            assert (type(native), native) == (type(reference), reference), name


def walk(first: int, steps: list[int]) -> list[int]:
    """Each number is a step from the one before."""
    numbers = [first]
    for step in steps:
        numbers.append(min(max(0, numbers[-1] + step), TOP))
    return numbers[1:]


@given(FIRSTS, st.lists(STEPS, max_size=60), st.none() | st.integers(-1, 1 << REPLAY_WINDOW_SIZE + 70))
def test_replay_windows(first: int, steps: list[int], seen: int | None) -> None:
    twins = Twins("ReplayWindow", replay, first, look="newest seen")
    if seen is not None:
        twins.both = [type(one).restored(first, seen) for one in twins.both]
        twins.compare()
    for number in walk(first, steps):
        twins.ask("may_accept", number)
        twins.ask("accept", number)


@given(
    FIRSTS,
    st.lists(st.tuples(st.sampled_from(["anchor", "accept", "accept", "count"]), STEPS), max_size=80),
    st.sampled_from([8, 64, 4096, CLEAR_WINDOW_SIZE]),
)
def test_clear_windows(first: int, steps: list[tuple[str, int]], size: int) -> None:
    twins = Twins("ClearWindow", replay, first, size)
    before, newest = first - REPLAY_WINDOW_SIZE + 1, first
    for (method, _), number in zip(steps, walk(before, [step for _, step in steps]), strict=True):
        twins.ask(method, *((before, number) if method == "count" else (number,)))
        before, newest = number, max(newest, number if method == "anchor" else 0)
    base = max(0, newest - REPLAY_WINDOW_SIZE + 1) & ~7
    for number in (base + size, base + size + 8, base - 1, base, base + 1, base + size - 1, before):
        if 0 <= number <= TOP:
            twins.ask("accept", number)
        for begin in (-5, number - 3, number):
            for end in (number, number + 1, number + 11, TOP):
                twins.ask("count", begin, min(end, TOP))


def test_flows_have_the_same_attributes() -> None:
    for kind in (replay.PeerFlow, NativePeerFlow):
        flow = kind(7, "adsl", 5)
        assert (flow.flow_id, flow.link, flow.window.newest, flow.clear) == (7, "adsl", 5, None)
        assert (flow.ousted, flow.insistent) == (False, False)
        flow.link, flow.ousted, flow.insistent = "lte", True, True
        assert (flow.link, flow.ousted, flow.insistent) == ("lte", True, True)
        flow.restore(9, 0b101)
        assert (flow.window.newest, flow.window.seen) == (9, 0b101)
        assert [flow.accept_clear(seq) for seq in (9, 8, 8)] == [False, True, False]
        assert flow.clear is not None
        flow.restore_clear(16, b"\x02")
        assert (flow.clear.base, flow.clear.seen.rstrip(b"\0")) == (16, b"\x02")


LINE = st.lists(
    st.tuples(
        st.sampled_from(["received"] * 6 + ["note", "forget_high"]),
        PAUSES,
        st.sampled_from([0, 1, 2, 40, 41, 190, 4999, 5000, 5001, 20_000, 32_768]) | STAMPS,
    ),
    max_size=80,
)


def run_line(twins: Twins, line: list[tuple[str, float, int]], now: float, *, plain: bool) -> None:
    """Packets that are under way for some milliseconds each, or have any stamps at all."""
    for method, pause, number in line:
        now += pause
        stamped = number if plain else (int(now * 1000) - number) & 0xFFFF
        twins.ask(method, *((stamped, now) if method == "received" else ()))


@given(LINE, CLOCKS, st.booleans())
def test_transits(line: list[tuple[str, float, int]], now: float, plain: bool) -> None:
    run_line(Twins("Transit", transit, look="has_sample low_ms rise_ms"), line, now, plain=plain)


@given(st.lists(st.tuples(LINE, st.booleans()), max_size=4), CLOCKS)
def test_spreads(lines: list[tuple[list[tuple[str, float, int]], bool]], now: float) -> None:
    twins = [Twins("Transit", transit) for _ in lines]
    for (line, plain), one in zip(lines, twins, strict=True):
        run_line(one, line, now, plain=plain)
    reference, native = ([one.both[side] for one in twins] for side in (0, 1))
    assert native_parts.spread_ms(iter(native)) == transit.spread_ms(reference)


@given(FIRSTS, st.lists(st.tuples(CLOSE | CLOSE | STEPS, PAUSES), max_size=150), CLOCKS)
@example(0, [(2, 0.01)] * 80 + [(-step, 0.1) for step in range(60)], 0.0)
@example(0, [(3, 0.01)] * 5 + [(-1, 0.01), (-2, 0.01)], 0.0)
def test_disorders(first: int, steps: list[tuple[int, float]], now: float) -> None:
    twins = Twins("Disorder", transit, first)
    for (_, pause), number in zip(steps, walk(first, [step for step, _ in steps]), strict=True):
        now += pause
        twins.ask("received", number, now)
        twins.ask("seconds", now)


@given(
    FIRSTS,
    st.lists(
        st.tuples(
            st.sampled_from(["received"] * 20 + ["pause"]), CLOSE | STEPS, PAUSES, st.sampled_from([None, 0, 1, 60])
        ),
        max_size=200,
    ),
    CLOCKS,
)
@example(0, [("received", 1, 10.0, None)] * 150, 0.0)
@example(0, [("received", 5, 0.1, 3)] * 150, 0.0)
@example(0, [("received", loss.JUMP, 0.1, None), ("received", loss.JUMP + 1, 0.1, None)], 0.0)
@example(0, [("pause", 1, 0.1, None), ("received", 1, 1.0, None), ("received", 3, 0.1, None)], 0.0)
def test_loss_meters(first: int, steps: list[tuple[str, int, float, int | None]], now: float) -> None:
    twins = Twins("LossMeter", loss, first, look="newest sent lost percent")
    numbers = walk(first, [step for _, step, _, _ in steps])
    for (method, _, pause, others), number in zip(steps, numbers, strict=True):
        now += pause
        if method == "pause":
            twins.ask(method, now + 1.0)
        else:
            twins.ask(method, number, now, *(() if others is None else (others,)))


@given(st.lists(st.integers(0, 4999) | st.floats(0, 1e6), max_size=60))
def test_rtt_estimators(samples: list[float]) -> None:
    twins = Twins("RttEstimator", rtt, look="has_sample srtt_ms rttvar_ms min_rtt_ms")
    for sample in samples:
        twins.ask("update", sample)


@given(st.lists(st.tuples(st.booleans(), STAMPS, PAUSES), max_size=60), CLOCKS | st.floats(-1e6, 1e9))
def test_stamps_and_echoes(steps: list[tuple[bool, int, float]], now: float) -> None:
    twins = Twins("StampEcho", rtt)
    for take, number, pause in steps:
        now += pause
        twins.ask(*(("take", now) if take else ("received", number, now)))
        assert native_parts.stamp(now) == rtt.stamp(now)
        near = (rtt.stamp(now) - number % 6000) & 0xFFFF
        for reply in (number, near):
            assert native_parts.sample_ms(reply, now) == rtt.sample_ms(reply, now)


@given(FIRSTS, st.lists(STEPS, max_size=100))
def test_copy_filters(first: int, steps: list[int]) -> None:
    twins = Twins("CopyFilter", copies)
    for number in (first, *walk(first, steps)):
        twins.ask("is_first", number)


LINKS = st.dictionaries(
    st.sampled_from([0, 0, 1, 1, 2, 9]), st.sampled_from([0.0, 0.0, 0.003, 0.02, 0.4]), min_size=1, max_size=3
)
"""The links that are waited for, each with its disorder. Link 9 never brings anything."""
OFFSETS = st.one_of(
    st.integers(0, 3),
    st.integers(-4, 12),
    st.integers(-200, 200),
    st.sampled_from([0, reorder.JUMP, -reorder.JUMP, 1 << 63, 1 << 40]).flatmap(
        lambda far: st.integers(far - 2, far + 2)
    ),
)
"""Distance of a number from the highest one that was pushed in its neighbourhood."""
BUFFER_STEPS = st.one_of(
    st.tuples(st.just("push"), OFFSETS, st.integers(0, 2)),
    st.tuples(st.just("push"), st.integers(-1, 3), st.integers(0, 2)),
    st.tuples(st.just("row"), st.integers(1, 80), st.integers(0, 2)),
    st.tuples(st.just("strays"), OFFSETS, st.integers(0, 2)),
    st.tuples(st.just("anew"), OFFSETS, st.sampled_from([0.0, 1.0])),
    st.tuples(st.just("expire"), st.none(), st.none()),
    st.tuples(st.just("links"), LINKS, st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.002, 0.1]), st.none()),
)


BUFFER_PAUSES = st.sampled_from([0.0, 0.0, 0.0003, 0.003, 0.003, 0.02, 0.2])


class Buffers(Twins):
    """Two reorder buffers, and a clock."""

    def __init__(self, size: int, wait: float, first: int, now: float) -> None:
        super().__init__("ReorderBuffer", reorder, size, wait, look="size wait late timeouts duplicates")
        self.now = now
        self.near = first

    def push(self, number: int, link: int) -> None:
        self.ask("push", number & TOP, b"%d" % number, self.now, link)

    def step(self, what: str, value: Any, more: Any) -> None:
        if what == "push":
            number = self.near + value
            self.push(number, more)
            self.near = max(self.near, number)
        elif what == "row":  # every second number of a row: the missing ones may come later
            for _ in range(value):
                self.near += 2
                self.push(self.near, more)
        elif what == "strays":
            for count in range(reorder.STRAYS + 1):
                self.push(self.near + value + count, more)
        elif what == "anew":
            self.ask("is_anew", (self.near + value) & TOP, self.now, more)
        elif what == "expire":
            self.ask("expire", self.now)
        elif what == "links":
            self.ask("set_links", value)
        else:
            for one in self.both:
                one.wait = value
        self.ask("deadline")
        self.ask("__len__")


@given(
    st.sampled_from([1, 2, 3, 64, 200, 1000]),
    FIRSTS,
    LINKS,
    st.lists(st.tuples(BUFFER_STEPS, BUFFER_PAUSES), max_size=80),
    CLOCKS,
)
@example(
    16,
    0,
    {0: 0.02, 1: 0.003},
    [(("push", ahead, link), 0.003) for ahead, link in ((1, 0), (2, 0), (2, 1), (-3, 0), (4, 1), (-1, 1), (3, 0))],
    0.0,
)
@example(
    16,
    0,
    {0: 0.0, 1: 0.0},
    [
        (("push", ahead, link), 0.0)
        for ahead, link in ((0, 0), (10, 0), (-5, 0), (-9, 2), (-8, 2), (-7, 2), (-6, 2), (2, 1))
    ],
    0.0,
)
def test_reorder_buffers(
    size: int, first: int, links: dict[int, float], steps: list[tuple[tuple[str, Any, Any], float]], now: float
) -> None:
    buffers = Buffers(size, 0.1, first, now)
    buffers.ask("set_links", links)
    buffers.step("anew", 0, 1.0)
    for (what, value, more), pause in steps:
        buffers.now += pause
        buffers.step(what, value, more)
    buffers.ask("flush")
    buffers.step("push", 1, 0)


@given(st.lists(st.integers(0, reorder.JUMP + 5), max_size=60), st.integers(0, reorder.JUMP))
def test_what_waits_far_ahead(ahead: list[int], first: int) -> None:
    """Over the end of every ring."""
    buffers = Buffers(1000, 100.0, first, 0.0)
    buffers.ask("set_links", {9: 0.0})
    buffers.push(first, 0)
    for number in ahead:
        buffers.push(first + number, 0)
    buffers.ask("expire", 1000.0)
    buffers.push(first + 3, 0)


def test_a_buffer_of_a_size_that_no_buffer_has() -> None:
    for part in (reorder, native_parts):
        for size in (0, -1):
            assert outcome(part.ReorderBuffer, size, 0.1) == (ValueError, None)


@given(st.permutations(range(40)), st.integers(0, 50))
def test_more_links_than_are_waited_for(order: list[int], first: int) -> None:
    """The buffer knows the links that have brought something. The packets that it holds bound their number."""
    buffers = Buffers(16, 0.1, first, 0.0)
    buffers.ask("set_links", dict.fromkeys(range(40), 0.001))
    for turn in range(5):
        for place, link in enumerate(order):
            buffers.now += 0.0001
            buffers.step("push", 2 if place % 5 else 1, link + 40 * turn)
