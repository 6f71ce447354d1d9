"""A fast line goes while bulk waits for it.

A small packet that comes then leaves at once by the lines that are left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from mlvpnd.protocol.wire.drops import DropReason
from tests.support.session_pair import Line, SessionPair, packet_of

SOON = 0.025
"""Seconds; or two packets' time, if this is longer."""
SIZE, PING = 1400, 90
MBIT = 125_000
FAST, SLOW = 0, 1


def taken_down(pair: SessionPair) -> None:
    """Carrier or address gone, or the interface."""
    pair.client.session.path_unready(FAST, pair.now)


def removed(pair: SessionPair) -> None:
    """A reload removes the link."""
    pair.client.session.disconnect_path(FAST, pair.now)


def slowed(pair: SessionPair) -> None:
    """A reload makes the link slower. It is up, and what it was given before has to go by the lines as they are now."""
    session = pair.client.session
    slow = dataclasses.replace(session.path(FAST).parameters, bandwidth=session.path(SLOW).parameters.bandwidth)
    session.set_parameters(FAST, slow, pair.now)


def disabled(pair: SessionPair) -> None:
    session = pair.client.session
    session.set_parameters(FAST, dataclasses.replace(session.path(FAST).parameters, enabled=False), pair.now)


def told(pair: SessionPair) -> None:
    """The peer says DISCONNECT."""
    pair.server.session.disconnect(FAST, pair.now)
    pair.drain(pair.server)
    pair.run(pair.lines[FAST].delay)
    assert pair.client.up == [SLOW]


@pytest.mark.parametrize("cause", [taken_down, removed, slowed, disabled, told])
@pytest.mark.parametrize(
    ("fast", "slow"), [((100, 0.005), (2, 0.3)), ((150, 0.01), (5, 0.01)), ((20, 0.3), (20, 0.01))]
)
def test_a_small_packet_is_not_behind_what_waited_for_a_line_that_goes(
    cause: Callable[[SessionPair], None], fast: tuple[int, float], slow: tuple[int, float]
) -> None:
    rates, delays = (fast[0], slow[0]), (fast[1], slow[1])
    pair = SessionPair([Line(delay) for delay in delays], bandwidths=[rate * MBIT for rate in rates])
    pair.connect()
    pair.run(2)  # for round trips to be known
    client = pair.client
    number = 0
    for _ in range(150):
        bulk = [packet_of(number + more, SIZE) for more in range(sum(rates) * MBIT // SIZE // 1000 * 3 // 2 + 1)]
        number += len(bulk)
        client.send(bulk)
        pair.run(0.001)
    cause(pair)
    pair.drain(client)
    lateness = []
    for distance in (0.0, 0.0, 0.02, 0.1, 0.4):
        pair.run(distance)
        number += 1
        ping, begun = packet_of(number, PING), pair.now
        client.send([ping])
        while ping not in pair.server.delivered[-50:]:
            pair.run(0.001)
            assert pair.now < begun + 2
        lateness.append(pair.now - begun - delays[SLOW])
    assert max(lateness) <= max(SOON, 2 * SIZE / (slow[0] * MBIT)) + 0.002
    if rates[FAST] > rates[SLOW]:  # what does not fit into the lines that are left is dropped at once, and counted
        assert client.session.drops[DropReason.QUEUE_FULL] > 100
