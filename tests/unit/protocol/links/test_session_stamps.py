"""A peer, or somebody on the path, lies in the stamps of a header: stamps are not authentic."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from mlvpnd.protocol.wire.drops import DropReason
from tests.support.session_pair import Flight, Line, SessionPair, packet_of

STAMP, ECHO = 4, 6
"""Bytes of the header before the stamp, and before the echo."""
SIZE = 1400
ON_THE_LINE = SIZE + 28 + 16 + 42
"""Bytes that a packet of `SIZE` takes on the line."""
HONEST, LYING = 0, 1


class Liar:
    """Changes stamps in what the server sends on one link, when told to."""

    def __init__(self, pair: SessionPair, field: int, lie: Callable[[int], int]) -> None:
        self._pair, self._field, self._lie = pair, field, lie
        self._fly = pair._fly
        pair._fly = self._change  # type: ignore[method-assign]
        self.lies = 0
        """How many more packets it changes."""

    def _change(self, flight: Flight) -> None:
        if self.lies and not flight.to_server and flight.line == LYING:
            self.lies -= 1
            place = slice(self._field, self._field + 2)
            said = int.from_bytes(flight.datagram[place], "big")
            changed = bytearray(flight.datagram)
            changed[place] = (self._lie(said) & 0xFFFF).to_bytes(2, "big")
            flight = flight._replace(datagram=bytes(changed))
        self._fly(flight)


def late(milliseconds: int) -> Callable[[int], int]:
    """Makes an echo, or a stamp, older than it should be."""
    return lambda said: said - milliseconds


def test_echoes_that_are_late_for_good_do_not_make_what_waits_grow_without_bound() -> None:
    """Half a second of packets is committed, and a tenth of a second waits in the queue that the lines share."""
    rate = 2_500_000
    pair = SessionPair([Line(0.005), Line(0.005)], bandwidths=[rate, rate])
    liar = Liar(pair, ECHO, late(4900))
    pair.connect()
    liar.lies = 1_000_000
    numbers = count()
    sent = 0
    for millisecond in range(4000):
        packets = [packet_of(next(numbers), SIZE) for _ in range(5)]
        sent += len(packets)
        pair.client.send(packets)
        if millisecond % 20 == 0:
            pair.server.send([packet_of(next(numbers)) for _ in range(2)])
        pair.run(0.001)
        session = pair.client.session
        left = sum(path.packets_sent for path in session.paths)
        waiting = (sent - left - session.drops[DropReason.QUEUE_FULL]) * ON_THE_LINE
        assert waiting <= 0.1 * 2 * rate + 0.505 * rate + 4 * SIZE
    assert pair.client.session.path(LYING).rtt.srtt_ms > 4000
    # The other link carries no less for it.
    assert pair.client.session.path(HONEST).bytes_sent >= 0.95 * 4 * rate


@pytest.mark.parametrize("milliseconds", [4900, 1000, 200, -5])
def test_one_echo_that_jumps_moves_no_link(milliseconds: int) -> None:
    pair = SessionPair([Line(0.005), Line(0.005)], bandwidths=[2_500_000] * 2)
    liar = Liar(pair, ECHO, late(milliseconds))
    pair.connect()
    pair.run(5)
    paths = pair.client.session.paths
    before = [(path.rtt.srtt_ms, path.rtt.min_rtt_ms) for path in paths]
    for _ in range(10):
        liar.lies = 1
        pair.run(2.5)
        for path, (srtt, least) in zip(paths, before, strict=True):
            assert path.rtt.srtt_ms == pytest.approx(srtt, abs=2)
            assert path.rtt.min_rtt_ms >= least - 1


@pytest.mark.parametrize("milliseconds", [4900, 1000, 200, -200, -4900, 20_000])
def test_one_stamp_that_jumps_makes_no_packet_wait(milliseconds: int) -> None:
    pair = SessionPair([Line(0.005), Line(0.005)], bandwidths=[1, 1])
    liar = Liar(pair, STAMP, late(milliseconds))
    pair.connect()
    pair.transfer(range(200), interval=0.01, from_server=True)
    reorder = pair.client.session.reorder
    assert reorder is not None
    before = reorder.wait
    for number in range(10):
        liar.lies = 1
        pair.transfer(range(1000 + 30 * number, 1030 + 30 * number), interval=0.01, from_server=True)
        assert reorder.wait == pytest.approx(before, abs=0.003)
