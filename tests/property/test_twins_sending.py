"""The native twin of the sending side against the reference: the same steps give the same answers and errors."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.sending import flow_queue, fragments, paced, retransmissions, scheduler, stretch
from mlvpnd.protocol.sending.line import SECOND, Item
from mlvpnd.protocol.sending.paced import LineParameters
from mlvpnd.protocol.wire import inner
from mlvpnd.protocol.wire.inner import Kind
from tests.support import native_parts as native
from tests.support.pieces import framed, pieces

MS = 1_000_000
MODULUS = 1 << 64


def outcome(call: Callable[..., object], *arguments: object, **named: object) -> object:
    """The result of a call, or what it raises."""
    try:
        return call(*arguments, **named)
    except Exception as error:  # any error: the other twin must raise the same
        return type(error)


# What the scheduler must know about a packet.

_ethernet = st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xa8", b"\x08\x06"])
_firsts = st.one_of(st.sampled_from([0x45, 0x46, 0x4F, 0x60, 0x6F, 0x44, 0x50]), st.integers(0, 255))
_protocols = st.one_of(st.sampled_from([0, 1, 6, 6, 6, 17, 43, 44, 47, 58, 60]), st.integers(0, 255))


@st.composite
def _packets(draw: st.DrawFn) -> bytes:
    """Bytes like a packet's. Any of them may be missing or wrong."""
    length = draw(st.one_of(st.integers(0, 64), st.integers(100, 140), st.integers(230, 300)))
    packet = bytearray(draw(st.binary(min_size=length, max_size=length)))
    said = (length + draw(st.sampled_from([0, 0, 0, -1, 4, -40]))) % 65536
    fields = {0: draw(_firsts), 2: said >> 8, 3: said & 0xFF}
    if fields[0] >> 4 == 6:
        fields = {0: fields[0], 4: max(said - 40, 0) >> 8, 5: max(said - 40, 0) & 0xFF, 6: draw(_protocols)}
    else:
        fields |= {6: draw(st.sampled_from([0, 0, 0x40, 0x20, 0x1F])), 7: draw(st.sampled_from([0, 0, 0, 1]))}
        fields[9] = draw(_protocols)
    header = (fields[0] & 0xF) << 2 if fields[0] >> 4 == 4 else 40
    fields |= {
        header + 12: draw(st.sampled_from([0x50, 0x80, 0xF0])),
        header + 13: draw(st.sampled_from([16, 24, 2, 80])),
    }
    for place, value in fields.items():
        if place < length:
            packet[place] = value
    tag = draw(st.booleans())
    frame = bytes(12) + draw(_ethernet) + (bytes(2) + draw(_ethernet) if tag else b"")
    return draw(st.sampled_from([bytes(packet), frame + bytes(packet), frame[:-1]]))


@given(_packets(), st.booleans())
def test_packets_are_looked_at_alike(packet: bytes, layer2: bool) -> None:
    assert native.classify(packet, layer2=layer2) == inner.classify(packet, layer2=layer2)
    assert native.segment_name(packet, layer2=layer2) == inner.segment_name(packet, layer2=layer2)
    assert native.packet_from(packet, layer2=layer2) == inner.packet_from(packet, layer2=layer2)
    assert native.piece_of(packet, layer2=layer2) == fragments.piece_of(packet, layer2=layer2)


@given(
    st.sampled_from((4, 6)),
    st.lists(st.sampled_from((0, 43, 60)), max_size=9),
    st.sampled_from((100, 2000)),
    st.integers(0, 1500),
    st.tuples(st.integers(0, 120), st.integers(0, 255)),
    st.booleans(),
)
def test_pieces_are_looked_at_alike(
    version: int, headers: list[int], size: int, cut: int, change: tuple[int, int], layer2: bool
) -> None:
    for whole in pieces(version, size=size, headers=tuple(headers)):
        packet = framed([whole], 0x8100)[0] if layer2 else whole
        place = change[0] % len(packet)
        changed = packet[:place] + bytes([packet[place] ^ change[1]]) + packet[place + 1 :]
        for one in (packet, packet[:cut], changed):
            found = fragments.piece_of(one, layer2=layer2)
            assert native.piece_of(one, layer2=layer2) == found
            assert found is None or len(found.plain or b"") <= len(one)


_names = st.integers(0, 3000).map(lambda number: number.to_bytes(11, "big")) | st.binary(min_size=1, max_size=36)


@given(st.lists(st.tuples(_names, st.none() | st.integers(0, 65535), st.sampled_from((0, 0.5, 29.999, 30)))))
def test_fragments_are_remembered_alike(steps: list[tuple[bytes, int | None, float]]) -> None:
    one, other, now = fragments.FragmentTable(), native.FragmentTable(), 0.0
    for name, decision, seconds in steps:
        now += seconds
        assert one.find(name, now) == other.find(name, now)
        for table in (one, other):
            if decision is not None:
                table.note(name, decision, now)
            elif seconds == 30:
                table.clear()


# Queues.

_sizes = st.one_of(st.integers(1, 1600), st.sampled_from([44, 126, 1514, 65600]))
_flows = st.one_of(st.integers(0, 3), st.integers(0, (1 << 32) - 1))
_pushes = st.tuples(st.just("push"), _flows, _sizes, st.integers(1, 20))
_backs = st.tuples(st.just("put_back"), _flows, _sizes, st.integers(1, 20))
_pops = st.tuples(st.sampled_from(["pop", "next_size", "trim"]), st.just(0), st.just(0), st.integers(1, 30))


@given(st.lists(st.one_of(_pushes, _pushes, _backs, _pops)), st.integers(0, 50_000), st.integers(0, 50_000))
def test_flows_share_alike(steps: list[tuple[str, int, int, int]], limit: int, later: int) -> None:
    reference, twin = flow_queue.FlowQueue(limit), native.FlowQueue(limit)
    count = 0
    for place, (name, flow, size, times) in enumerate(steps):
        if place == 20:
            reference.limit = twin.limit = later
        for _ in range(times):
            if name == "push":
                count += 1
                packet = count.to_bytes(4)
                assert twin.push(flow, packet, size) == reference.push(flow, packet, size)
            elif name == "put_back":
                count += 1
                for one in (reference, twin):
                    one.put_back(flow, count.to_bytes(4), size, count)
            elif name == "trim":
                assert twin.trim() == reference.trim()
            elif name == "pop":
                assert outcome(twin.pop) == outcome(reference.pop)
            else:
                assert outcome(twin.next_size) == outcome(reference.next_size)
        assert (twin.bytes, twin.flows, twin.limit) == (reference.bytes, reference.flows, reference.limit)


# The paced schedule.

_rates = st.one_of(
    st.sampled_from([1_250_000, 2_500_000, 12_500_000, 125_000]), st.integers(1, 100_000), st.integers(1, (1 << 32) - 1)
)
_delays = st.one_of(st.sampled_from([5 * MS, 10 * MS, 15 * MS, 40 * MS]), st.integers(0, SECOND))
_least_delays = st.sampled_from([0, 0, 4 * MS, 12 * MS, SECOND])
_parameters = st.builds(
    LineParameters, _rates, _delays, st.sampled_from([0, 0, 0, 1, 7]), st.booleans(), least_delay=_least_delays
)
_lines = st.dictionaries(st.sampled_from([0, 1, 2, 5, 90]), _parameters, max_size=5)
_some_lines = st.dictionaries(st.sampled_from([0, 1, 2, 5, 90]), _parameters, min_size=1, max_size=5)
_numbers = st.sampled_from([0, 1, 2, 5, 90, 91])
_turns = st.one_of(st.integers(0, 3 * MS), st.integers(0, 3 * MS), st.integers(0, 100 * MS), st.integers(0, 3 * SECOND))
_puts = st.tuples(
    st.just("put"), st.sampled_from(Kind), st.one_of(st.integers(0, 3), _flows), _sizes, st.integers(1, 80)
)
_puts_on = st.tuples(
    st.just("put_on"),
    _numbers,
    st.sampled_from([0, 0, 7, MODULUS - 1]),
    _flows,
    _sizes,
    st.booleans(),
    st.integers(1, 8),
)
_steps = st.one_of(
    _puts,
    _puts,
    _puts_on,
    st.tuples(st.just("take"), _turns),
    st.tuples(st.just("take"), _turns),
    st.tuples(st.just("take when due"), st.integers(1, 20)),
    st.tuples(st.just("earliest"), st.lists(_numbers, max_size=4)),
    st.tuples(st.just("some lines"), st.frozensets(_numbers)),
    st.tuples(st.just("lines"), _lines),
    st.just(("drain",)),
)


class Twins:
    """Both schedulers. They get the same calls."""

    def __init__(self, next_data_seq: int) -> None:
        self.reference = paced.PacedScheduler(next_data_seq)
        self.twin = native.PacedScheduler(next_data_seq)
        self.lines: dict[int, LineParameters] = {}
        self.now = 0
        self._count = 0

    def step(self, name: str, arguments: Sequence[object]) -> None:
        getattr(self, "_" + name.replace(" ", "_"))(*arguments)
        self._compare()

    def _compare(self) -> None:
        for name in ("next_data_seq", "dropped", "waiting_bytes"):
            assert getattr(self.twin, name) == getattr(self.reference, name)
        assert self.twin.due() == self.reference.due()
        assert self.twin.is_settling(self.now) is self.reference.is_settling(self.now)

    def _packet(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(4)

    def _lines(self, lines: dict[int, LineParameters]) -> None:
        self.lines = self.lines | lines
        for one in (self.reference, self.twin):
            one.set_lines(lines, self.now)

    def _some_lines(self, numbers: frozenset[int]) -> None:
        """The given lines, of all that were there at any time."""
        self._lines({number: line for number, line in self.lines.items() if number in numbers})

    def _put(self, kind: Kind, flow: int, size: int, times: int) -> None:
        for _ in range(times):
            packet = self._packet()
            for one in (self.reference, self.twin):
                one.put(kind, flow, packet, size, self.now)

    def _put_on(self, number: int, data_seq: int, flow: int, size: int, first: bool, times: int) -> None:
        for _ in range(times):
            item = Item(self._packet(), size, data_seq, reorder=False)
            raised = [
                outcome(one.put_on, number, item, flow, self.now, first=first) for one in (self.reference, self.twin)
            ]
            assert raised[0] is raised[1]

    def _take(self, turn: int) -> Sequence[object]:
        self.now += turn
        taken = self.reference.take(self.now)
        assert self.twin.take(self.now) == taken
        return taken

    def _take_when_due(self, times: int) -> None:
        in_vain = 0
        for _ in range(times):
            due = self.reference.due()
            taken = self._take(max((self.now if due is None else due) - self.now, 0))
            self._compare()
            # Packets committed in one turn may be held until another.
            in_vain = 0 if taken or due is None else in_vain + 1
            assert in_vain < 3, "it asks for its turn again and again, and nothing leaves"

    def _earliest(self, numbers: list[int]) -> None:
        taken = [outcome(one.earliest, numbers, self.now) for one in (self.twin, self.reference)]
        assert taken[0] == taken[1]

    def _drain(self) -> None:
        assert self.reference.drain(self.now) == self.twin.drain(self.now)
        assert self.twin.waiting_bytes == 0


@given(_some_lines, st.lists(_steps, max_size=60), st.sampled_from([0, 1000, MODULUS - 20]))
def test_packets_are_paced_alike(
    lines: dict[int, LineParameters], steps: list[tuple[str, *tuple[object, ...]]], first: int
) -> None:
    twins = Twins(first)
    twins.step("lines", (lines,))
    for name, *arguments in steps:
        twins.step(name, arguments)


def test_what_is_no_line_is_refused() -> None:
    scheduler = native.PacedScheduler(0)
    scheduler.set_lines({1: LineParameters(1000, 0)}, 0)
    for lines in (
        {1: LineParameters(0, 0)},
        {-1: LineParameters(1, 0)},
        {1: LineParameters(1, -1)},
        {1: LineParameters(1, 0, least_delay=-1)},
    ):
        with pytest.raises(ValueError, match="a line's"):
            scheduler.set_lines(lines, 0)
    scheduler.put(Kind.SMALL, 1, b"x", 100, 0)
    assert [number for number, _ in scheduler.take(0)] == [1]


# Flows that are stretched over far lines.

_streams = st.tuples(
    st.just("takes"),
    st.one_of(st.integers(0, 3), _flows),
    _sizes,
    st.sampled_from([50 * MS, 300 * MS, 900 * MS, SECOND - 1, SECOND]),
    st.integers(1, 40),
    st.sampled_from([0, 740, 760, 1000, 3000]),
)
_pauses = st.tuples(st.just("forget"), st.sampled_from([0, 1, 500 * MS, SECOND, 61 * SECOND]))


@given(st.lists(st.one_of(_streams, _streams, _streams, _pauses), max_size=30), st.integers(0, 2), _rates)
def test_flows_are_stretched_alike(
    steps: list[tuple[str, int, int, int, int, int] | tuple[str, int]], others: int, rate: int
) -> None:
    """`others` send 1000 bytes with each packet of a flow. The near lines carry thousandths of their rate."""
    reference, twin = stretch.Stretch(), native.Stretch()
    now = carried = 0
    for step in steps:
        if len(step) == 2:
            now += step[1]
            for one in (reference, twin):
                one.forget(now)
        else:
            _, flow, size, distance, times, share = step
            for _ in range(times):
                now += distance
                carried += rate * distance // SECOND * share // 1000
                for number, length in [(flow, size), *((10 + other, 1000) for other in range(others))]:
                    taken = [one.admit(number, length, now, carried, rate) for one in (reference, twin)]
                    assert taken[0] is taken[1]
        assert bool(twin) is bool(reference)
        for later in (now, now + 3 * SECOND - 1):
            assert twin.delay(later) == reference.delay(later)
            assert twin.is_settling(later) is reference.is_settling(later)


# The weighted schedule.

_weights = st.dictionaries(
    st.integers(0, 9), st.one_of(st.integers(1, 3), st.integers(1, 1000), st.integers(1, 1 << 32)), max_size=8
)
_burst = st.tuples(st.sampled_from([None, 0, 1, 31, 32, 64]), st.lists(st.integers(0, 65600), max_size=20))
_rounds = st.tuples(st.one_of(_weights, st.frozensets(st.integers(0, 9))), st.lists(_burst, max_size=3))


@given(st.lists(_rounds, max_size=30))
def test_links_take_turns_alike(
    rounds: list[tuple[dict[int, int] | frozenset[int], list[tuple[int | None, list[int]]]]],
) -> None:
    reference, twin = scheduler.WeightedScheduler(), native.WeightedScheduler()
    known: dict[int, int] = {}
    for links, bursts in rounds:
        if isinstance(links, frozenset):  # with their old weights
            links = {number: weight for number, weight in known.items() if number in links}
        known |= links
        for one in (reference, twin):
            one.set_links(links)
        assert twin.links == reference.links
        for begins, sizes in bursts:
            for one in (reference, twin):
                if begins is not None:
                    one.begin_burst(begins)
            assert [twin.pick(size) for size in sizes] == [reference.pick(size) for size in sizes]


def test_what_is_no_weight_is_refused() -> None:
    for weights in ({1: 0}, {1: (1 << 32) + 1}, {-1: 1}):
        with pytest.raises(ValueError, match="weight"):
            native.WeightedScheduler().set_links(weights)


# What TCP sends again.

_links = st.integers(0, 4)
_carrying = st.dictionaries(_links, st.sampled_from([100_000, 1_000_000, 10_000_000]), max_size=5)
_judgements = st.tuples(st.just("judge"), _carrying, st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.3, 1.5, 40.0]))
_segments = st.tuples(
    st.just("sent"), _links, st.integers(0, 40), st.integers(1, 900), st.sampled_from([60, 1500, 9000])
)


@given(st.lists(st.one_of(_segments, _segments, _judgements), max_size=60), st.integers(0, 40))
def test_losses_are_judged_alike(
    steps: list[tuple[str, int, int, int, int] | tuple[str, dict[int, int], float]], size: int
) -> None:
    reference, twin = retransmissions.Retransmissions(), native.Retransmissions()
    now, name = 1.0, 0
    for step in steps:
        if len(step) == 3:
            now += step[2]
            assert twin.judge(step[1], now) == reference.judge(step[1], now)
        else:
            _, link, back, times, length = step
            name = max(name - back * 150, 0)  # from here on segments are sent again, if they are not too old
            for _ in range(times):
                name += 1
                segment = name.to_bytes(size, "big") if size > 1 else bytes([name & 0xFF] * size)
                for one in (reference, twin):
                    one.sent(link, segment, length)
        assert twin.harmful == reference.harmful
        for link in range(6):
            assert twin.share(link) == reference.share(link)


def test_names_that_segments_do_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="long name"):
        native.Retransmissions().sent(0, bytes(41), 1500)
    with pytest.raises(ValueError, match="rate"):
        native.Retransmissions().judge({0: 0}, 1.0)


# Long and realistic runs, which reach states that few steps do not.


@pytest.mark.parametrize("seed", range(6))
def test_busy_lines_are_paced_alike(seed: int) -> None:
    chance, twins = random.Random(seed), Twins(0)
    for turn in range(400):
        if turn % 60 == 0:
            lines = {
                number: LineParameters(
                    chance.choice([1_000_000, 2_500_000]),
                    chance.choice([5, 15, 40]) * MS,
                    chance.choice([0, 0, 1]),
                    chance.random() < 0.3,
                )
                for number in range(4)
                if chance.random() < 0.8
            }
            twins.step("lines", (lines,))
        twins.step("put", (chance.choice(list(Kind)), chance.randrange(6), chance.randrange(60, 1515), 8))
        if lines and turn % 120 < 60:
            twins.step("put_on", (chance.choice(list(lines)), 0, chance.randrange(3), 1000, turn % 7 == 0, 3))
        twins.step("take", (chance.randrange(4 * MS),))
    twins.step("drain", ())


FAR = ((15, 250), (250, 20, 15), (15, 250, 400), (20, 15, 350, 10))
"""Milliseconds one way of each line. The fourth line has a higher priority."""


@pytest.mark.parametrize("knows_least", [False, True])
@pytest.mark.parametrize("delays", FAR)
def test_far_lines_are_filled_alike(delays: tuple[int, ...], *, knows_least: bool) -> None:
    chance, twins = random.Random(len(delays)), Twins(0)
    lines = {
        number: LineParameters(chance.randrange(60_000, 100_000) * (1 + delay // 250), delay * MS, int(number == 3))
        for number, delay in enumerate(delays)
    }
    near_rate = sum(line.rate for line in lines.values() if line.delay <= 20 * MS and not line.priority)
    shares = {1: 0.6, 2: 0.6, 3: 0.05, 4: 0.0}
    waiting, settling = dict.fromkeys(shares, 0.0), 0
    for turn in range(3000):
        twins.now += chance.randrange(20 * MS)
        if turn % 10 == 0:
            now = {
                number: replace(
                    line, delay=line.delay + chance.randrange(4 * MS), least_delay=line.delay if knows_least else 0
                )
                for number, line in lines.items()
                if number or turn % 1100 != 1090
            }
            twins.step("lines", (now,))
        if turn >= 1000 and turn % 90 == 0:  # some are stretched: one pauses, or wants less, or another more
            shares[chance.randrange(1, 5)] = chance.choice([0.0, 0.1, 0.5, 5.0])
        for flow, share in shares.items():
            waiting[flow] += share * near_rate / 100
            times, waiting[flow] = divmod(waiting[flow], 1514)
            twins.step("put", (Kind.BULK, flow, 1514, int(times)))
        if turn % 3 == 0:
            twins.step("put", (chance.choice([Kind.SMALL, Kind.ACK, Kind.SHORT]), 3, 100, 1))
        twins.step("take", (0,))
        settling += twins.twin.is_settling(twins.now)
    assert settling
    twins.step("drain", ())


@pytest.mark.parametrize("seed", range(6))
def test_lossy_links_are_judged_alike(seed: int) -> None:
    chance = random.Random(seed)
    reference, twin = retransmissions.Retransmissions(), native.Retransmissions()
    losses = [chance.choice([0.0, 0.002, 0.004, 0.01]) for _ in range(3)]
    name, again, seen = 0, list[bytes](), set[frozenset[int]]()
    for turn in range(1, 150):
        for _ in range(100):
            name += 1
            segment = again.pop(0) if len(again) > 3 else name.to_bytes(16)
            link = chance.randrange(3)
            if chance.random() < losses[link]:
                again.append(segment)
            for one in (reference, twin):
                one.sent(link, segment, 1500)
        rates = dict.fromkeys(range(3), 700_000 if turn % 100 > 60 else 2_000_000)
        assert twin.judge(rates, turn * 0.1) == reference.judge(rates, turn * 0.1)
        assert [twin.share(link) for link in range(3)] == [reference.share(link) for link in range(3)]
        seen.add(twin.harmful)
    assert len(seen) > 1 or len(set(losses)) < 3
