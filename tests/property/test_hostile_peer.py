"""A hostile peer that knows the password: both twins take whatever it sends alike and within bounds.

Afterwards an honest peer in its place is served as always.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlvpnd.protocol.wire import wire
from mlvpnd.protocol.wire.box import Box
from mlvpnd.protocol.wire.constants import HEADER_SIZE, MAC_SIZE, MAX_DATAGRAM_SIZE, MAX_FLOWS, NO_TIMESTAMP
from mlvpnd.protocol.wire.wire import Header, PacketType
from tests.support.session_pair import KEY, Flight, Line, SessionPair, packet_of

from .test_twins_session import TWINS, known

pytestmark = pytest.mark.timeout(600)  # ten seconds of processor time, on a machine that may be busy
LINES = st.integers(0, 1)
ELSEWHERE = ("203.0.113.66", 6666)
NUMBERS = st.sampled_from([0, 1, 2, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1])
STAMPS = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFE, NO_TIMESTAMP]) | st.integers(0, 0xFFFF)
FLOWS = st.integers(1, 6)
TYPES = st.sampled_from(list(PacketType))
WORDS = st.sampled_from([b"", b"A", b"AU", b"OK", b"AUAU", bytes(40), packet_of(7)])
LENGTHS = st.sampled_from([0, 1, 19, 20, 39, 40, 59, 60, 1372, 1500, 9000, 32768, 65000]) | st.integers(0, 2000)
LARGEST = MAX_DATAGRAM_SIZE - HEADER_SIZE - MAC_SIZE
HALF_DAY = 43200.0
HONEST_FIRST = 900_000
"""First number of the honest peer. Nobody has sent packets with numbers from here on."""


class Hostile(RuleBasedStateMachine):
    """Every step is done to both pairs. One end of each pair is the victim; the enemy has the key of the other end."""

    pairs: list[SessionPair]

    @initialize(
        to_server=st.booleans(),
        cleartext_data=st.booleans(),
        bandwidths=st.sampled_from([(250_000, 60_000), (3, 1)]),
        reorder_size=st.sampled_from([0, 8, 64]),
        tolerance=st.sampled_from([5, 100]),
    )
    def start(
        self, to_server: bool, cleartext_data: bool, bandwidths: tuple[int, ...], reorder_size: int, tolerance: int
    ) -> None:
        self.to_server = to_server
        self.reorder_size = reorder_size
        self.box = Box(KEY)
        self.seqs: dict[int, int] = {}
        self.data_seq = 0
        self.clear = cleartext_data
        self.pairs = [
            SessionPair(
                [Line(), Line(delay=0.05)],
                session_type=twin,
                cleartext_data=cleartext_data,
                bandwidths=bandwidths,
                reorder_size=reorder_size,
                loss_tolerance=tolerance,
            )
            for twin in TWINS
        ]
        for pair in self.pairs:
            pair.connect()

    def datagram(self, kind: PacketType, words: bytes, flow: int, seq: int, data_seq: int, **fields: int) -> bytes:
        """A sealed datagram; DATA is clear if the victim accepts clear DATA."""
        clear = self.clear and kind is PacketType.DATA
        payload = words if clear else self.box.seal(words, flow, seq)
        stamps = fields.get("timestamp", 0), fields.get("timestamp_reply", NO_TIMESTAMP)
        return (
            wire.pack(Header(len(payload), kind, bool(fields.get("reorder", 1)), *stamps, flow, seq, data_seq))
            + payload
        )

    def next_seq(self, flow: int) -> int:
        self.seqs[flow] = (self.seqs.get(flow, 1000 * flow) + 1) % (1 << 64)
        return self.seqs[flow]

    def arrive(self, line: int, datagrams: list[bytes], *, elsewhere: bool = False) -> None:
        """The datagrams come to the victim. Its events and its answers must stay within bounds."""
        for pair in self.pairs:
            here = pair.server_address if self.to_server else pair.client_address
            there = pair.client_address if self.to_server else pair.server_address
            victim = pair.server if self.to_server else pair.client
            events, said = len(victim.events), len(pair.recording)
            for datagram in datagrams:
                source = ELSEWHERE if elsewhere else there(line)
                pair.inject(Flight(line, self.to_server, datagram, source, here(line)))
            pair.run(0)
            assert len(victim.events) - events <= 4 * len(datagrams) + 4
            # The other end's answers to them count too.
            assert len(pair.recording) - said <= 4 * len(datagrams) + 16

    @rule(
        line=LINES, kind=TYPES, words=WORDS, flow=FLOWS, seq=st.none() | NUMBERS, data_seq=NUMBERS,
        timestamp=STAMPS, timestamp_reply=STAMPS, reorder=st.integers(0, 1), elsewhere=st.booleans(),
        copies=st.integers(1, 3),
    )  # fmt: skip
    def says_anything(
        self, line: int, kind: PacketType, words: bytes, flow: int, seq: int | None, data_seq: int,
        timestamp: int, timestamp_reply: int, reorder: int, elsewhere: bool, copies: int,
    ) -> None:  # fmt: skip
        """Any type with any payload, any numbers and any stamps."""
        if seq is None:
            seq = self.next_seq(flow)
        else:
            self.seqs[flow] = seq
        fields = {"timestamp": timestamp, "timestamp_reply": timestamp_reply, "reorder": reorder}
        one = self.datagram(kind, words, flow, seq, data_seq, **fields)
        self.arrive(line, [one] * copies, elsewhere=elsewhere)

    @rule(line=LINES, flow=FLOWS, count=st.integers(1, 40), new_flows=st.booleans(), disconnects=st.booleans())
    def floods_with_introductions(self, line: int, flow: int, count: int, new_flows: bool, disconnects: bool) -> None:
        """AUTH after AUTH, of one flow or of always another, with DISCONNECTs between them."""
        datagrams = []
        kind, words = (PacketType.AUTH, b"AU") if self.to_server else (PacketType.AUTH_OK, b"OK")
        for number in range(count):
            one = 1000 + number if new_flows else flow
            datagrams.append(self.datagram(kind, words, one, self.next_seq(one), 0))
            if disconnects:
                datagrams.append(self.datagram(PacketType.DISCONNECT, b"", one, self.next_seq(one), 0))
        self.arrive(line, datagrams)

    @rule(line=LINES, flow=FLOWS, lengths=st.lists(LENGTHS, min_size=1, max_size=6), step=st.sampled_from([1, 3, -1]))
    def sends_data_of_all_lengths(self, line: int, flow: int, lengths: list[int], step: int) -> None:
        datagrams = []
        for length in lengths:
            self.data_seq = (self.data_seq + step) % (1 << 64)
            words = b"\x45" + bytes(max(min(length, LARGEST) - 1, 0)) if length else b""
            datagrams.append(self.datagram(PacketType.DATA, words, flow, self.next_seq(flow), self.data_seq))
        self.arrive(line, datagrams)

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 1.0, 7.0]))
    def waits(self, seconds: float) -> None:
        for pair in self.pairs:
            pair.run(seconds)

    @rule(jump=st.sampled_from([HALF_DAY, -HALF_DAY]))
    def its_clock_jumps(self, jump: float) -> None:
        """The enemy's numbers begin elsewhere: `seq` counts from the clock."""
        for flow in self.seqs:
            self.seqs[flow] = (self.seqs[flow] + int(jump * 1e6)) % (1 << 64)

    @rule(count=st.integers(1, 5))
    def the_victim_sends(self, count: int) -> None:
        for pair in self.pairs:
            victim = pair.server if self.to_server else pair.client
            victim.send([packet_of(number) for number in range(count)])

    @precondition(lambda self: hasattr(self, "pairs"))
    @invariant()
    def both_are_alike_and_within_bounds(self) -> None:
        one, other = (pair.server if self.to_server else pair.client for pair in self.pairs)
        assert one.delivered == other.delivered
        assert one.events == other.events
        assert known(one) == known(other)
        for victim in (one, other):
            assert len(list(victim.session.gate.flows)) <= MAX_FLOWS
            reorder = victim.session.reorder
            assert reorder is None or len(reorder) <= self.reorder_size
            due = victim.session.get_timer()
            assert due is None or due < self.pairs[0].now + 60

    def teardown(self) -> None:
        """The enemy is gone and an honest peer is there: the tunnel is as it was."""
        for pair in getattr(self, "pairs", ()):
            pair.run(20)
            honest = pair.restart(pair.client if self.to_server else pair.server)
            pair.run(30)
            victim = pair.server if self.to_server else pair.client
            assert victim.up == honest.up == [0, 1]
            numbers = range(HONEST_FIRST, HONEST_FIRST + 20)
            for from_server, receiver in ((False, pair.server), (True, pair.client)):
                before = len(receiver.delivered)
                sent = pair.transfer(numbers, from_server=from_server)
                pair.run(2)
                assert sorted(receiver.delivered[before:]) == sorted(sent)


TestHostilePeer = Hostile.TestCase
assert settings.default is not None
TestHostilePeer.settings = settings(max_examples=settings.default.max_examples // 5, stateful_step_count=25)
