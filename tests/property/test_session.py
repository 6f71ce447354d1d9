"""A session pair under a hostile network, as a state machine.

The network loses, delays, reorders, doubles, damages and reflects. An attacker plays recordings from anywhere, also of
old sessions. Addresses change and processes die. Every packet that comes out was sent by the other side, and comes out
once. Nothing raises, and memory is bounded. At the end all links come back, and the peers have the right addresses.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlvpnd.protocol.wire.constants import MAX_FLOWS
from tests.support.session_pair import End, Line, SessionPair, packet_of

ATTACKER = ("203.0.113.66", 6666)
TIMEOUT = 4.0
REORDER_SIZE = 16
LINES = st.integers(0, 1)
PROBABILITIES = st.sampled_from([0.0, 0.1, 0.5])


class HostileNetwork(RuleBasedStateMachine):
    """Boxed, two links. Rules for clear DATA alone are below."""

    cleartext_data = False
    pair: SessionPair

    @initialize(seed=st.integers(0, 1 << 32))
    def start(self, seed: int) -> None:
        self.pair = SessionPair(
            [Line(), Line(delay=0.05)],
            seed=seed,
            timeout=TIMEOUT,
            reorder_size=REORDER_SIZE,
            cleartext_data=self.cleartext_data,
        )
        self.sent: dict[bool, set[bytes]] = {False: set(), True: set()}
        self.count = 0

    def _end(self, *, is_server: bool) -> End:
        return self.pair.server if is_server else self.pair.client

    @rule(is_server=st.booleans(), count=st.integers(1, 30))
    def send(self, is_server: bool, count: int) -> None:
        packets = [packet_of(self.count + number) for number in range(count)]
        self.count += count
        self.sent[is_server].update(packets)
        self._end(is_server=is_server).send(packets)

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 3.0, TIMEOUT + 1, 20.0]))
    def wait(self, seconds: float) -> None:
        self.pair.run(seconds)

    @rule(line=LINES, loss=PROBABILITIES, duplicate=PROBABILITIES, jitter=st.sampled_from([0.0, 0.02, 0.5]))
    def weather(self, line: int, loss: float, duplicate: float, jitter: float) -> None:
        self.pair.lines[line].loss = loss
        self.pair.lines[line].duplicate = duplicate
        self.pair.lines[line].jitter = jitter

    @precondition(lambda self: not self.cleartext_data)
    @rule(line=LINES, damage=PROBABILITIES)
    def damage(self, line: int, damage: float) -> None:
        self.pair.lines[line].damage = damage

    @rule(line=LINES, reflect=PROBABILITIES)
    def mirror(self, line: int, reflect: float) -> None:
        self.pair.lines[line].reflect = reflect

    @rule(line=LINES, cut=st.booleans())
    def cut(self, line: int, cut: bool) -> None:
        self.pair.lines[line].cut = cut

    @rule(line=LINES)
    def rebind(self, line: int) -> None:
        self.pair.rebind(line)

    @rule(is_server=st.booleans())
    def restart(self, is_server: bool) -> None:
        self.pair.run(0.001)  # no process starts twice in the same microsecond
        self.pair.restart(self._end(is_server=is_server))

    @rule(data=st.data(), own_address=st.booleans(), other_line=st.booleans(), slow=st.booleans())
    def replay(self, data: st.DataObject, own_address: bool, other_line: bool, slow: bool) -> None:
        """Plays a stretch of anything recorded on the lines, to the present address of its receiver."""
        recording = self.pair.recording
        if not recording:
            return
        first = data.draw(st.integers(0, len(recording) - 1))
        stretch = recording[first : first + data.draw(st.integers(1, 40))]
        for number, flight in enumerate(stretch):
            line = 1 - flight.line if other_line else flight.line
            here = self.pair.server_address(line) if flight.to_server else self.pair.client_address(line)
            source = flight.source if own_address else ATTACKER
            played = flight._replace(line=line, source=source, destination=here)
            self.pair.inject(played, number * (0.3 if slow else 0.001))

    @rule(line=LINES, to_server=st.booleans(), datagram=st.binary(max_size=80))
    def garbage(self, line: int, to_server: bool, datagram: bytes) -> None:
        end = self._end(is_server=to_server)
        before = end.session.path(line).status, end.session.path(line).peer
        assert end.session.receive(line, [(datagram, ATTACKER)], self.pair.now) == []
        assert (end.session.path(line).status, end.session.path(line).peer) == before
        assert end.session.transmits() == []

    @invariant()
    def what_comes_out_was_sent_and_comes_once(self) -> None:
        if not hasattr(self, "pair"):
            return
        for end in (self.pair.client, self.pair.server):
            assert len(set(end.delivered)) == len(end.delivered)
            assert self.sent[not end.is_server].issuperset(end.delivered)
            assert end.session.reorder is not None
            assert len(end.session.reorder) <= REORDER_SIZE
            assert len(end.session.gate.flows) <= MAX_FLOWS

    def teardown(self) -> None:
        """The network becomes quiet."""
        if not hasattr(self, "pair"):
            return
        pair = self.pair
        pair.lines[:] = [Line(), Line(delay=0.05)]
        pair.run(30)  # the longest replay, a timeout, and some more
        assert pair.client.up == pair.server.up == [0, 1]
        for line in range(2):
            assert pair.server.session.path(line).peer == pair.client_address(line)
            assert pair.client.session.path(line).peer == pair.server_address(line)
        for end, other in ((pair.client, pair.server), (pair.server, pair.client)):
            packets = [packet_of(self.count + number) for number in range(20)]
            self.count += 20
            before = len(other.delivered)
            end.send(packets)
            pair.run(2)
            # In order, except for the first packets, which set the count anew: nobody knows what came before them.
            assert sorted(other.delivered[before:]) == packets


class HostileNetworkInClear(HostileNetwork):
    """Clear DATA: damage shows in the packet, as upstream. Everything else holds."""

    cleartext_data = True


assert settings.default is not None
_FEWER = settings(max_examples=settings.default.max_examples // 4)
TestHostileNetwork = HostileNetwork.TestCase
TestHostileNetwork.settings = _FEWER
TestHostileNetworkInClear = HostileNetworkInClear.TestCase
TestHostileNetworkInClear.settings = _FEWER
