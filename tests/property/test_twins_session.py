"""Both twins of a session, each with a peer of its kind over the same lines: they send, deliver and know the same."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlvpnd.dataplane.native_session import NativeSession
from mlvpnd.net import bpf
from mlvpnd.net.bpf import LinkType
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.sending.outbox import Transmit
from mlvpnd.protocol.sending.rules import Action, Matcher, Rule
from mlvpnd.protocol.wire.box import derive_key
from tests.support.inner_packets import frame, ipv4, tcp
from tests.support.pieces import OTHER, SIP, framed, pieces
from tests.support.session_pair import KEY, End, Line, SessionPair, frame_of, packet_of

ATTACKER = ("203.0.113.66", 6666)
LINES = st.integers(0, 1)
PROBABILITIES = st.sampled_from([0.0, 0.1, 0.5])
PACED, WEIGHTS, SLOW = (250_000, 60_000), (3, 1), (60_000, 60_000)
SIZES = st.sampled_from([0, 4, 64])
MATCHERS = st.integers(0, 7)
"""Index into `programs`."""
LINKS = st.sampled_from([(), (0,), (1,), (0, 1), (1, 0)])
KEYS = (KEY, derive_key(b"another"))


class InOrder(Session):
    """Sends at once in the order of links. If several links send at once, their order is no decision of a session."""

    def transmits(self) -> list[Transmit]:
        return sorted(super().transmits(), key=lambda transmit: transmit.path)


class NativeInOrder(InOrder, NativeSession):
    """The same for the native twin."""


TWINS = (InOrder, NativeInOrder)


class FirstByte:
    """A matcher that is no BPF program: it matches packets whose last byte is even."""

    def matches(self, packet: bytes, _plain: bytes | None = None, /) -> bool:
        return packet[-1] % 2 == 0


def segment_of(number: int) -> bytes:
    """A segment of one TCP flow."""
    segment = tcp(payload=bytes(1000))
    return ipv4(6, segment[:4] + number.to_bytes(4, "big") + segment[8:])


def programs(layer2: bool) -> list[Matcher]:
    """Matchers compiled as in the daemon, and one that is a Python object."""
    kind = LinkType.ETHERNET if layer2 else LinkType.RAW
    # The number in a packet or frame of `session_pair`, or a port: some packets match, and some do not.
    number = "ether[21] & 1 = 1" if layer2 else "ip proto 253 and ip[27] & 3 = 1"
    expressions = [number, "tcp dst port 80 and tcp src port 1001", "greater 1000", "ip6"]
    expressions += ["udp port 5060", "udp and not udp port 5060", "ip6 proto 44 or ip6 proto 60"]
    return [*(bpf.compile(expression, kind) for expression in expressions), FirstByte()]


def known(end: End) -> list[Any]:
    """Everything that an operator or the driver may see of a session."""
    session, reorder = end.session, end.session.reorder
    return [
        session.get_timer(),
        session.carrying,
        session.tier,
        session.drops,
        session.next_data_seq,
        [
            (
                path.status, path.peer, path.next_seq, path.drops, path.heard_at, path.sent_at, path.numbered_at,
                path.packets_sent, path.bytes_sent, path.packets_received, path.bytes_received, path.heard_gap,
                path.rtt.srtt_ms, path.rtt.rttvar_ms, path.rtt.min_rtt_ms, path.loss_percent, path.epoch,
                path.retransmitted, path.spare, path.distrusted, path.flow.window.seen if path.flow else None,
            )
            for path in session.paths
        ],
        [(flow.flow_id, flow.link, flow.ousted, flow.insistent) for flow in session.gate.flows],
        None if reorder is None else (len(reorder), reorder.wait, reorder.late, reorder.timeouts, reorder.duplicates),
    ]  # fmt: skip


class Lockstep(RuleBasedStateMachine):
    """Every step is done to both pairs."""

    layer2 = False
    pairs: list[SessionPair]

    @initialize(
        seed=st.integers(0, 1 << 32),
        cleartext_data=st.booleans(),
        bandwidths=st.sampled_from([PACED, WEIGHTS, SLOW]),
        far=st.sampled_from([0.05, 0.3]),
        tolerance=st.sampled_from([5, 100]),
        reorder_size=SIZES,
        rules=st.booleans(),
    )
    def start(
        self,
        seed: int,
        cleartext_data: bool,
        bandwidths: tuple[int, ...],
        far: float,
        tolerance: int,
        reorder_size: int,
        rules: bool,
    ) -> None:
        self.pairs = [
            SessionPair(
                [Line(), Line(delay=far)],
                seed=seed,
                timeout=4.0,
                reorder_size=reorder_size,
                cleartext_data=cleartext_data,
                layer2=self.layer2,
                bandwidths=bandwidths,
                loss_tolerance=tolerance,
                session_type=twin,
            )
            for twin in TWINS
        ]
        self.count = self.compared = 0
        self.programs = programs(self.layer2)
        if rules:
            for pair in self.pairs:
                pair.client.session.set_rules([Rule(FirstByte(), Action.PIN), Rule(FirstByte(), Action.DROP)])
        for pair in self.pairs:
            pair.run(1)

    def _packet(self, number: int, kind: int) -> bytes:
        if self.layer2:
            return frame_of(number)
        if kind == 0:
            return packet_of(number, 60 + number % 200)
        if kind == 1:
            return packet_of(number, 1400)
        return ipv4(6, tcp(payload=number.to_bytes(8, "big") * (number % 150 + 1), ports=(1000 + number % 3, 80)))

    @rule(is_server=st.booleans(), count=st.integers(1, 60), kind=st.integers(0, 2))
    def send(self, is_server: bool, count: int, kind: int) -> None:
        packets = [self._packet(self.count + number, kind) for number in range(count)]
        self.count += count
        for pair in self.pairs:
            (pair.server if is_server else pair.client).send(packets)

    @rule(
        is_server=st.booleans(),
        version=st.sampled_from((4, 6)),
        ports=st.sampled_from((SIP, OTHER)),
        ident=st.integers(0, 3),
        headers=st.sampled_from(((), (0, 60))),
        size=st.sampled_from((400, 4000)),
        order=st.sampled_from((slice(None), slice(None, None, -1), slice(1, None))),
    )
    def send_pieces(
        self,
        is_server: bool,
        version: int,
        ports: tuple[int, int],
        ident: int,
        headers: tuple[int, ...],
        size: int,
        order: slice,
    ) -> None:
        """A datagram in fragments, in order, backwards, or without the first."""
        packets = pieces(version, ports=ports, size=size, ident=ident, headers=headers)[order]
        for pair in self.pairs:
            (pair.server if is_server else pair.client).send(framed(packets) if self.layer2 else packets)

    @rule(is_server=st.booleans(), seconds=st.sampled_from([1, 9]), again=st.booleans())
    def stream(self, is_server: bool, seconds: int, again: bool) -> None:
        """A TCP flow that almost fills a slow line; `again`: it sends each segment twice."""
        for turn in range(seconds * 50):
            segment = segment_of(self.count + (turn // 2 if again else turn))
            packet = frame(0x0800, segment) if self.layer2 else segment
            for pair in self.pairs:
                (pair.server if is_server else pair.client).send([packet])
                pair.run(0.02)
        self.count += seconds * 50

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 5.0]))
    def wait(self, seconds: float) -> None:
        for pair in self.pairs:
            pair.run(seconds)

    @rule(line=LINES, loss=PROBABILITIES, duplicate=PROBABILITIES, jitter=st.sampled_from([0.0, 0.02, 0.5]))
    def weather(self, line: int, loss: float, duplicate: float, jitter: float) -> None:
        for pair in self.pairs:
            pair.lines[line].loss = loss
            pair.lines[line].duplicate = duplicate
            pair.lines[line].jitter = jitter

    @rule(line=LINES, damage=PROBABILITIES, reflect=PROBABILITIES)
    def damage(self, line: int, damage: float, reflect: float) -> None:
        for pair in self.pairs:
            pair.lines[line].damage = damage
            pair.lines[line].reflect = reflect

    # Changes by a reload, and requests of an operator.

    def _ends(self, is_server: bool) -> list[tuple[SessionPair, End]]:
        return [(pair, pair.server if is_server else pair.client) for pair in self.pairs]

    @rule(
        is_server=st.booleans(),
        filtered=st.lists(st.tuples(MATCHERS, LINES), max_size=2),
        ruled=st.lists(st.tuples(MATCHERS, st.sampled_from(Action), LINKS), max_size=3),
    )
    def match(
        self,
        is_server: bool,
        filtered: list[tuple[int, int]],
        ruled: list[tuple[int, Action, tuple[int, ...]]],
    ) -> None:
        filters = [(self.programs[which], line) for which, line in filtered]
        rules = [Rule(self.programs[which], action, links) for which, action, links in ruled]
        for _, end in self._ends(is_server):
            end.session.set_filters(filters)
            end.session.set_rules(rules)

    @rule(
        is_server=st.booleans(),
        key=st.sampled_from([0, 0, 0, 1]),
        both=st.booleans(),
        cleartext_data=st.booleans(),
        reorder_size=SIZES,
        pacing=st.booleans(),
        peer_takes_first=st.booleans(),
    )
    def reconfigure(
        self,
        is_server: bool,
        key: int,
        both: bool,
        cleartext_data: bool,
        reorder_size: int,
        pacing: bool,
        peer_takes_first: bool,
    ) -> None:
        for server in (is_server, not is_server)[: 1 + both]:
            parameters = SessionParameters(
                KEYS[key],
                is_server=server,
                layer2=self.layer2,
                cleartext_data=cleartext_data,
                reorder_size=reorder_size,
                pacing=pacing,
                peer_takes_first=peer_takes_first,
            )
            for pair, end in self._ends(server):
                end.delivered += end.session.reconfigure(parameters)
                pair.drain(end)

    @rule(
        is_server=st.booleans(),
        line=LINES,
        bandwidth=st.sampled_from([0, 5, 50_000, 500_000]),
        priority=st.integers(0, 2),
        tolerance=st.sampled_from([5, 100]),
        fallback_only=st.booleans(),
        enabled=st.sampled_from([True, True, False]),
    )
    def set_parameters(
        self,
        is_server: bool,
        line: int,
        bandwidth: int,
        priority: int,
        tolerance: int,
        fallback_only: bool,
        enabled: bool,
    ) -> None:
        parameters = PathParameters(
            f"link{line}",
            4.0,
            loss_tolerance=tolerance,
            bandwidth=bandwidth,
            priority=priority,
            fallback_only=fallback_only,
            enabled=enabled,
        )
        for pair, end in self._ends(is_server):
            end.delivered += end.session.set_parameters(line, parameters, pair.now)
            pair.drain(end)

    @rule(is_server=st.booleans(), line=LINES, seconds=st.sampled_from([0.0, 0.1, 2.0]))
    def lose_socket(self, is_server: bool, line: int, seconds: float) -> None:
        for pair, end in self._ends(is_server):
            end.delivered += end.session.path_unready(line, pair.now)
            pair.drain(end)
            pair.run(seconds)
            end.session.path_ready(line, None if is_server else pair.server_address(line), pair.now)
            pair.drain(end)

    @rule(is_server=st.booleans(), line=LINES)
    def disconnect(self, is_server: bool, line: int) -> None:
        for pair, end in self._ends(is_server):
            end.delivered += end.session.disconnect(line, pair.now)
            pair.drain(end)

    @rule(is_server=st.booleans(), seconds=st.sampled_from([0.5, 1.5, 10.0]))
    def stand_still(self, is_server: bool, seconds: float) -> None:
        for pair, end in self._ends(is_server):
            due = pair.now
            pair.now += seconds
            end.session.woken(due, pair.now)
            pair.drain(end)

    @rule(is_server=st.booleans())
    def flush(self, is_server: bool) -> None:
        for pair, end in self._ends(is_server):
            end.session.flush(pair.now)
            pair.drain(end)

    @rule(line=LINES, cut=st.booleans())
    def cut(self, line: int, cut: bool) -> None:
        for pair in self.pairs:
            pair.lines[line].cut = cut

    @rule(line=LINES)
    def rebind(self, line: int) -> None:
        for pair in self.pairs:
            pair.rebind(line)

    @rule(is_server=st.booleans())
    def restart(self, is_server: bool) -> None:
        for pair in self.pairs:
            pair.run(0.001)
            pair.restart(pair.server if is_server else pair.client)

    @rule(data=st.data(), own_address=st.booleans(), other_line=st.booleans())
    def replay(self, data: st.DataObject, own_address: bool, other_line: bool) -> None:
        length = len(self.pairs[0].recording)
        if not length:
            return
        first = data.draw(st.integers(0, length - 1))
        count = data.draw(st.integers(1, 40))
        for pair in self.pairs:
            for flight in pair.recording[first : first + count]:
                line = 1 - flight.line if other_line else flight.line
                here = pair.server_address(line) if flight.to_server else pair.client_address(line)
                source = flight.source if own_address else ATTACKER
                pair.inject(flight._replace(line=line, source=source, destination=here))

    @rule(line=LINES, to_server=st.booleans(), datagrams=st.lists(st.binary(max_size=80), max_size=5))
    def garbage(self, line: int, to_server: bool, datagrams: list[bytes]) -> None:
        for pair in self.pairs:
            end = pair.server if to_server else pair.client
            end.session.receive(line, [(datagram, ATTACKER) for datagram in datagrams], pair.now)

    @precondition(lambda self: hasattr(self, "pairs"))
    @invariant()
    def both_are_the_same(self) -> None:
        one, other = self.pairs
        assert one.recording[self.compared :] == other.recording[self.compared :]
        self.compared = len(one.recording)
        for here, there in ((one.client, other.client), (one.server, other.server)):
            assert here.delivered == there.delivered
            assert here.events == there.events
            assert known(here) == known(there)


class LockstepWithFrames(Lockstep):
    """Frames of a tap."""

    layer2 = True


assert settings.default is not None
_FEWER = settings(max_examples=settings.default.max_examples // 8, stateful_step_count=25)
TestLockstep = Lockstep.TestCase
TestLockstep.settings = _FEWER
TestLockstepWithFrames = LockstepWithFrames.TestCase
TestLockstepWithFrames.settings = _FEWER


def test_what_tcp_sends_again_when_it_is_stretched_over_a_far_line_is_not_lost_alike() -> None:
    lockstep = Lockstep()
    lockstep.start(seed=0, cleartext_data=False, bandwidths=SLOW, far=0.3, tolerance=100, reorder_size=64, rules=False)
    (near, _), sent_again = lockstep.pairs[1].client.session.paths, []
    for seconds, again in ((9, False), (2, True), (2, True)):
        lockstep.stream(is_server=False, seconds=seconds, again=again)
        lockstep.both_are_the_same()
        sent_again.append(near.retransmitted)
    assert sent_again[:2] == [0, 0]
    assert sent_again[2] > 0
