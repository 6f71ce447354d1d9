"""Two sessions on lines that are lossy or slow for a while: links leave the schedule and come back."""

from __future__ import annotations

import itertools
from collections import Counter
from itertools import pairwise

import pytest

from mlvpnd.protocol.links.events import PathStatusChanged
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.selection import Tier
from mlvpnd.protocol.wire.constants import PROBE_TIME
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import hear, heard, several
from tests.support.session_pair import End, Line, SessionPair, packet_of

RATE = 300_000
"""Bytes per second: the links are paced, and `traffic` needs both of them."""
SIZE = 1000
modes = pytest.mark.parametrize("cleartext_data", [False, True], ids=["boxed", "clear"])
schedules = pytest.mark.parametrize("bandwidth", [RATE, 1], ids=["paced", "weighted"])


def bad_pair(
    seed: int = 1, *, bandwidth: int = RATE, timeout: float = 5.0, cleartext_data: bool = False
) -> SessionPair:
    """Link 1 is the one that will be bad."""
    pair = SessionPair(
        [Line(0.02), Line(0.02)],
        seed=seed,
        timeout=timeout,
        cleartext_data=cleartext_data,
        bandwidths=[bandwidth] * 2,
        loss_tolerance=5,
        latency_tolerance=300,
    )
    pair.connect()
    return pair


def traffic(pair: SessionPair, seconds: float, rate: int = 400) -> None:
    """Sends `rate` packets a second each way."""
    for _ in range(int(seconds * rate)):
        pair.client.send([packet_of(next(COUNT), SIZE)])
        pair.server.send([packet_of(next(COUNT), SIZE)])
        pair.run(1 / rate)


def until(pair: SessionPair, carrying: tuple[int, ...], limit: float, rate: int = 400) -> float:
    """Sends traffic until these links carry at both ends; returns its seconds."""
    start = pair.now
    while not all(end.session.carrying == carrying for end in (pair.client, pair.server)):
        traffic(pair, 0.05, rate)
        assert pair.now - start <= limit, [end.session.carrying for end in (pair.client, pair.server)]
    return pair.now - start


def changes(*ends: End) -> int:
    return sum(isinstance(event, PathStatusChanged) for end in ends for event in end.events)


COUNT = itertools.count()


@schedules
@pytest.mark.parametrize("seed", range(3))
def test_a_line_that_loses_both_ways_is_left_stays_so_and_comes_back(seed: int, bandwidth: int) -> None:
    pair = bad_pair(seed, bandwidth=bandwidth)
    traffic(pair, 3)
    pair.lines[1].loss = 0.2
    until(pair, (0,), 2.0)
    traffic(pair, 20, rate=100)
    assert changes(pair.client, pair.server) == 2
    pair.lines[1].loss = 0.0
    until(pair, (0, 1), 3.0, rate=100)
    traffic(pair, 5, rate=100)
    assert changes(pair.client, pair.server) == 4


@modes
def test_a_line_that_loses_one_way_is_left_by_who_hears_it_and_comes_back(cleartext_data: bool) -> None:
    """The far end knows nothing of the loss and answers the probes, so the packets that are judged are fresh."""
    pair = bad_pair(cleartext_data=cleartext_data)
    traffic(pair, 3)
    pair.lines[1].loss_to_client = 0.2
    traffic(pair, 2.5)
    assert (pair.client.session.carrying, pair.server.session.carrying) == ((0,), (0, 1))
    pair.run(20)  # nobody uses the tunnel
    assert pair.client.session.carrying == (0,)
    pair.lines[1].loss_to_client = 0.0
    pair.run(3)
    assert pair.client.session.carrying == (0, 1)


def test_some_loss_below_the_tolerance_is_no_reason_to_go() -> None:
    pair = bad_pair()
    pair.lines[1].loss = 0.03
    traffic(pair, 20)
    assert changes(pair.client, pair.server) == 0
    assert pair.client.session.carrying == (0, 1)


@schedules
def test_a_slow_line_is_left_and_comes_back(bandwidth: int) -> None:
    pair = bad_pair(bandwidth=bandwidth)
    traffic(pair, 2)
    pair.lines[1].delay = 0.2
    until(pair, (0,), 2.0)
    traffic(pair, 10, rate=100)
    pair.lines[1].delay = 0.13  # better than the tolerance, but not clearly
    traffic(pair, 5, rate=100)
    assert changes(pair.client, pair.server) == 2
    pair.lines[1].delay = 0.02
    until(pair, (0, 1), 3.0, rate=100)


def test_what_an_outage_has_lost_is_not_held_against_a_line_that_is_up_again() -> None:
    pair = bad_pair(timeout=2)
    traffic(pair, 2)
    pair.lines[1].cut = True
    traffic(pair, 4)
    assert pair.client.up == pair.server.up == [0]
    pair.lines[1].cut = False
    until(pair, (0, 1), 2.0)
    assert changes(pair.client, pair.server) == 0


def test_between_two_bad_lines_that_are_alike_the_traffic_stays_where_it_is() -> None:
    pair = bad_pair(2)
    for line in pair.lines:
        line.loss = 0.2
    traffic(pair, 3)
    where = []
    for _ in range(300):
        traffic(pair, 0.1, rate=100)
        assert pair.client.session.tier is pair.server.session.tier is Tier.LAST_RESORT
        where.append(pair.client.session.carrying)
    # By chance, one becomes clearly better once in a minute or so. Links that took turns would do so each second.
    assert sum(before != after for before, after in pairwise(where)) <= 1
    (carrying,) = where[-1]
    # Another link that is clearly better takes the traffic over.
    pair.lines[carrying].loss = 0.5
    traffic(pair, 4, rate=100)
    assert pair.client.session.carrying == (1 - carrying,)


# Links that come up.


def used(pair: SessionPair, seconds: float, rate: int = 400) -> float:
    """Seconds in which either end lets link 1 carry, of `seconds` with traffic."""
    count = 0
    for _ in range(int(seconds * 100)):
        traffic(pair, 0.01, rate)
        count += any(1 in end.session.carrying for end in (pair.client, pair.server))
    return count / 100


@schedules
@pytest.mark.parametrize("seed", range(1, 6))  # with one seed in a hundred, the first second loses too little to tell
def test_a_bad_line_that_comes_up_beside_a_good_one_is_found_out_before_it_carries(seed: int, bandwidth: int) -> None:
    pair = bad_pair(seed, bandwidth=bandwidth, timeout=2)
    pair.lines[1].cut = True
    traffic(pair, 4, rate=100)
    pair.lines[1].cut, pair.lines[1].loss = False, 0.2
    assert used(pair, 8, rate=100) == 0
    assert 1 in pair.client.up
    pair.lines[1].loss = 0.0
    until(pair, (0, 1), 3.0, rate=100)


@pytest.mark.parametrize("seed", range(5))
def test_a_line_that_was_dead_and_loses_little_carries_within_two_seconds_at_both_ends(seed: int) -> None:
    pair = bad_pair(seed, timeout=2)
    pair.lines[1].cut = True
    traffic(pair, 5.3)
    assert pair.client.up == pair.server.up == [0]
    pair.lines[1].cut, pair.lines[1].loss = False, 0.003
    until(pair, (0, 1), 1.8)
    assert changes(pair.client, pair.server) == 0


def test_a_link_on_trial_carries_when_the_good_one_is_gone() -> None:
    pair = bad_pair(timeout=2)
    pair.lines[1].cut = True
    traffic(pair, 4)
    pair.lines[1].cut, pair.lines[1].loss = False, 0.2
    while pair.client.up == [0]:
        traffic(pair, 0.01)
    assert pair.client.session.carrying == (0,)
    pair.client.session.path_unready(0, pair.now)
    assert pair.client.session.carrying == (1,)
    assert pair.client.session.tier is Tier.NORMAL


def test_the_first_links_of_a_tunnel_carry_at_once_and_are_found_out_before_anybody_uses_them() -> None:
    pair = SessionPair(bandwidths=[RATE] * 2, loss_tolerance=5)
    pair.lines[1].loss = 0.2
    while len(pair.client.up) < 2:
        pair.run(0.01)
    assert pair.client.session.carrying == (0, 1)
    pair.run(2.5)
    assert pair.client.session.carrying == pair.server.session.carrying == (0,)


def test_links_that_come_up_are_probed_for_a_while_where_loss_counts() -> None:
    for tolerance, most in ((5, 53), (100, 2.2)):
        pair = SessionPair(bandwidths=[RATE] * 2, loss_tolerance=tolerance)
        pair.run(0.3)
        for rate in said(pair, 2):
            assert 0.8 * most - 1 <= rate <= most
        pair.run(1)
        for rate in said(pair, 10):
            assert rate <= 2.2


def test_a_link_of_a_peer_that_does_not_probe_carries_before_long() -> None:
    session, (_, peer) = several(*(PathParameters(f"l{n}", 100.0, 5, bandwidth=RATE) for n in range(2)))
    hear(session, peer.disconnect(), 5.0, number=1)
    assert session.carrying == (0,)
    peer.flow_id += 1
    hear(session, peer.joins(), 5.0, number=1)
    assert (session.path(1).up, session.carrying) == (True, (0,))
    for now in (5.5, 6.0, 6.5):
        hear(session, peer.keepalive(), now, number=1)
        assert session.carrying == ((0,) if now < 6.5 else (0, 1))


# How much is said on an excluded link.


def said(pair: SessionPair, seconds: float) -> tuple[float, float]:
    """Datagrams a second on link 1, from the client and from the server, while nobody uses the tunnel."""
    first = len(pair.recording)
    pair.run(seconds)
    sent = Counter(flight.to_server for flight in pair.recording[first:] if flight.line == 1)
    return sent[True] / seconds, sent[False] / seconds


def test_two_ends_that_probe_do_not_drive_each_other() -> None:
    pair = bad_pair()
    pair.lines[1].loss = 0.2
    until(pair, (0,), 3.0)
    pair.run(2)
    for rate in said(pair, 20):
        assert 40 <= rate <= 53
    pair.run(PROBE_TIME)
    for rate in said(pair, 60):
        assert rate <= 2.2
    pair.lines[1].loss = 0.0
    traffic(pair, 3.0, rate=20)
    assert pair.client.session.carrying == pair.server.session.carrying == (0, 1)


def test_a_link_that_one_end_has_excluded_is_heard_by_it_at_half_its_rate() -> None:
    pair = bad_pair()
    pair.lines[1].loss_to_client = 0.2
    traffic(pair, 2.5)
    assert (pair.client.session.carrying, pair.server.session.carrying) == ((0,), (0, 1))
    pair.run(2)
    probes, answers = said(pair, 20)
    assert 40 <= probes <= 53
    assert 20 <= answers <= 28
    pair.run(PROBE_TIME)
    assert all(rate <= 2.2 for rate in said(pair, 60))


def test_a_peer_that_answers_once_a_second_is_probed_no_more_than_that() -> None:
    """C MLVPN does so: a KEEPALIVE a second, and an answer a second."""
    session, (_, peer) = several(*(PathParameters(f"l{n}", 100.0, 5, bandwidth=RATE) for n in range(2)))
    now, answer_at, seen = 0.0, 0.0, Counter[int]()
    peer.seq += 30
    for tick in range(10_000):
        now = tick / 100
        if tick % 100 == 50:
            peer.seq += 1
            hear(session, peer.keepalive(), now, number=1)
        while (due := session.get_timer()) is not None and due <= now:
            session.handle_timer(now)
        for one in heard(session):
            if one.path == 1:
                assert one.type is PacketType.KEEPALIVE
                seen[int(now)] += 1
                if now >= answer_at + 1:
                    answer_at = now
                    hear(session, peer.keepalive(), now, number=1)
    assert all(38 <= seen[second] <= 53 for second in range(2, int(PROBE_TIME)))
    assert all(seen[second] <= 3 for second in range(int(PROBE_TIME) + 2, 99))


def test_a_replay_of_probes_gets_no_answer() -> None:
    session, (_, peer) = several(*(PathParameters(f"l{n}", 100.0, 5) for n in range(2)))
    probes = [peer.keepalive() for _ in range(100)]
    for number, probe in enumerate(probes):
        hear(session, probe, 1 + number * 0.02, number=1)
    assert 45 <= len(heard(session)) <= 52
    for number, probe in enumerate(probes * 3):
        hear(session, probe, 4 + number * 0.02, number=1)
    assert heard(session) == []
