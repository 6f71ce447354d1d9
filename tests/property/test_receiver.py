"""A peer that restarts: whatever its new count and however its links come back, all its packets are delivered."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from mlvpnd.protocol.links.gate import Admitted
from mlvpnd.protocol.links.path import Path, PathParameters, PathStatus
from mlvpnd.protocol.receiving.receiver import MAX_WAIT, Receiver
from mlvpnd.protocol.receiving.rtt import stamp
from mlvpnd.protocol.wire.constants import RECLAIM_GRACE
from mlvpnd.protocol.wire.replay import PeerFlow
from mlvpnd.protocol.wire.wire import Header, PacketType

MODULUS = 1 << 64
LINKS = 3
EPSILON = 1e-9


@dataclass
class Side:
    """A receiver over links that are up. Its timer fires on time."""

    size: int
    now: float = 1000.0
    out: list[str] = field(default_factory=list)
    came: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.paths = {number: Path(number, PathParameters("link", 10.0), number, 0) for number in range(LINKS)}
        self.receiver = Receiver(self.paths, self.size, takes_first=False)
        self.seq = 0
        for path in self.paths.values():
            path.status = PathStatus.AUTHOK
            self.new_flow(path.number)

    def new_flow(self, number: int) -> None:
        """An AUTH with a flow that is new on this link."""
        self.seq += 1
        path = self.paths[number]
        path.begin_flow(PeerFlow(self.seq, "link", self.seq), self.seq)
        self.receiver.begin_flow(path, self.now)
        self.took(self.receiver.take_freed())

    def arrive(self, number: int, data_seq: int, name: str, pause: float = 0.0) -> None:
        """A packet comes over a link, `pause` seconds after the arrival before."""
        until = self.now + pause
        while (due := self.receiver.due()) is not None and due <= until:
            self.now = max(due, self.now)
            self.took(self.receiver.expire(self.now))
        self.now, path, packet = until, self.paths[number], name.encode()
        self.seq += 1
        header = Header(len(packet), PacketType.DATA, True, stamp(self.now), 0, 1, self.seq, data_seq % MODULUS)
        assert path.flow is not None
        assert name not in self.came
        self.came[name] = self.now
        self.receiver.refresh(self.now)
        self.receiver.measure(path, Admitted(header, packet, path.flow, newest=True, authentic=True), self.now)
        self.took(self.receiver.receive(path, header, packet, self.now))

    def took(self, packets: list[bytes]) -> None:
        for packet in packets:
            name = packet.decode()
            assert self.now <= self.came[name] + MAX_WAIT + EPSILON, "held for too long"
            self.out.append(name)

    def end(self) -> None:
        """All held packets leave in time."""
        while (due := self.receiver.due()) is not None:
            self.now = max(due, self.now)
            self.took(self.receiver.expire(self.now))


PACKETS = st.lists(st.tuples(st.integers(0, LINKS - 1), st.booleans()), min_size=1, max_size=80)
"""The link of each packet, and whether the packet is lost."""
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("flow"), st.integers(0, LINKS - 1)),
        st.tuples(st.just("old"), st.integers(0, LINKS - 1)),
        st.tuples(st.just("new"), st.integers(0, LINKS - 1)),
        st.tuples(st.just("lost"), st.just(0)),
    ),
    max_size=80,
)


@given(
    first=st.sampled_from([0, 1, 5, 70_000, 1 << 40]),
    before=PACKETS,
    again=st.one_of(st.sampled_from([0, 1]), st.integers(1 << 41, 1 << 50)),
    events=EVENTS,
    size=st.sampled_from([1, 3, 64, 1000]),
    calm=st.sampled_from([0.0, 0.2, 2.0]),
)
@example(
    first=0, before=[], again=0, events=[("flow", 0), ("new", 0), ("old", 1), *[("new", 0)] * 9], size=64, calm=0.0
)
def test_all_of_a_restarted_peer_is_delivered_and_once(
    first: int, before: list[tuple[int, bool]], again: int, events: list[tuple[str, int]], size: int, calm: float
) -> None:
    side = Side(size)
    old, new = first, again
    for link, lost in [(number, False) for number in range(LINKS)] + before:
        if not lost:
            side.arrive(link, old, f"old {old}", 0.001)
        old += 1
    renewed: set[int] = set()
    pause = calm
    for what, link in events:
        if what == "flow" and link not in renewed:
            renewed.add(link)
            side.new_flow(link)
        elif what == "old" and link not in renewed:  # still under way
            side.arrive(link, old, f"old {old}", pause)
            old += 1
        elif what == "new" and link in renewed:
            side.arrive(link, new, f"new {new}", pause)
            new += 1
        elif what == "lost" and renewed:
            new += 1
        pause = RECLAIM_GRACE / 200
    for link in range(LINKS):
        if link not in renewed:
            side.new_flow(link)
    settled = new
    for index in range(60):
        side.arrive(index % LINKS, new, f"new {new}", 0.001)
        new += 1
    side.end()
    assert sorted(side.out) == sorted(side.came)
    # Packets of the new count are in order, from where all links have brought one.
    places = [int(name[4:]) for name in side.out if name.startswith("new ") and int(name[4:]) >= settled + LINKS]
    assert places == sorted(places)
