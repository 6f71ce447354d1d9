"""Two sessions on lines that are cut, renumbered, overheard; processes that come and go."""

from __future__ import annotations

from collections import Counter

import pytest

from mlvpnd.protocol.links.events import DownReason, PathDown, PathStatusChanged, PathUp, PeerMoved, PeerRestarted
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.session_pair import End, Line, SessionPair

modes = pytest.mark.parametrize("cleartext_data", [False, True], ids=["boxed", "clear"])
sides = pytest.mark.parametrize("side", ["client", "server"])
UNLIKE = (0.01, 0.06)
"""Seconds: the delays of two lines of different kinds."""


def end_of(pair: SessionPair, side: str) -> End:
    return pair.server if side == "server" else pair.client


def ups(end: End) -> int:
    return sum(isinstance(event, PathUp) for event in end.events)


@modes
@pytest.mark.parametrize("layer2", [False, True], ids=["tun", "tap"])
@pytest.mark.parametrize("reorder_size", [0, 64])
def test_everything_arrives_both_ways(cleartext_data: bool, layer2: bool, reorder_size: int) -> None:
    pair = SessionPair(cleartext_data=cleartext_data, layer2=layer2, reorder_size=reorder_size)
    pair.connect()
    down = pair.transfer(range(50), from_server=True)
    up = pair.transfer(range(50, 100))
    pair.run(1)
    assert (pair.client.delivered, pair.server.delivered) == (down, up)


def test_unlike_lines_deliver_in_order_from_the_first_packet_after_a_break() -> None:
    """The near line's packets come first, and must wait for the far one's, whenever the looks at the spread fall."""
    for phase in range(30):
        pair = SessionPair([Line(delay) for delay in UNLIKE])
        pair.connect()
        pair.run(8 + phase * 0.037)
        sent = pair.transfer(range(100))
        pair.run(1)
        assert pair.server.delivered == sent


def test_losses_on_unlike_lines_cost_no_order() -> None:
    """The sender knows no rates, so it stripes blindly, as C MLVPN does."""
    pair = SessionPair([Line(0.010), Line(0.040)], reorder_size=500)
    pair.connect()
    pair.lines[1].loss = 0.05
    sent = pair.transfer(range(2000))
    pair.run(1)
    arrived = set(pair.server.delivered)
    assert 1900 < len(arrived) < 1990
    assert pair.server.delivered == [packet for packet in sent if packet in arrived]
    reorder = pair.server.session.reorder
    assert reorder is not None
    assert (reorder.late, reorder.duplicates) == (0, 0)


def test_without_a_buffer_unlike_lines_disorder() -> None:
    pair = SessionPair([Line(delay) for delay in UNLIKE], reorder_size=0)
    pair.connect()
    sent = pair.transfer(range(200))
    pair.run(1)
    assert pair.server.delivered != sent
    assert sorted(pair.server.delivered) == sorted(sent)


def test_weights_hold_over_the_lines() -> None:
    pair = SessionPair([Line()] * 4, bandwidths=[40, 30, 20, 10])
    pair.connect()
    pair.recording.clear()
    pair.transfer(range(1000), interval=0.0005)
    data = Counter(flight.line for flight in pair.recording if len(flight.datagram) > 50)
    assert data == {0: 400, 1: 300, 2: 200, 3: 100}


def test_duplicated_and_damaged_datagrams_do_not_show() -> None:
    pair = SessionPair([Line(duplicate=0.5, jitter=0.02), Line(damage=0.2, reflect=0.3)])
    pair.connect()
    sent = pair.transfer(range(500))
    pair.run(1)
    assert len(set(pair.server.delivered)) == len(pair.server.delivered)
    assert set(pair.server.delivered) <= set(sent)
    assert len(pair.server.delivered) > 400
    drops = sum((path.drops for path in pair.server.session.paths), Counter[DropReason]())
    assert drops[DropReason.REPLAYED] > 50
    assert drops[DropReason.REFLECTED] + drops[DropReason.NOT_AUTHENTIC] > 20


def test_a_cut_line_is_left_out_and_comes_back() -> None:
    pair = SessionPair(timeout=2.0)
    pair.connect()
    pair.lines[0].cut = True
    pair.run(3)
    assert pair.client.up == pair.server.up == [1]
    sent = pair.transfer(range(100))
    assert len(pair.server.delivered) >= 90
    pair.lines[0].cut = False
    pair.run(1.5)
    assert pair.client.up == pair.server.up == [0, 1]
    pair.run(1)
    assert pair.server.delivered == sent


def test_all_lines_cut_for_hours() -> None:
    pair = SessionPair()
    pair.connect()
    for line in pair.lines:
        line.cut = True
    pair.run(7200)
    assert pair.client.up == pair.server.up == []
    for line in pair.lines:
        line.cut = False
    pair.run(1.5)
    assert pair.client.up == pair.server.up == [0, 1]


@modes
def test_a_client_behind_a_changing_address(cleartext_data: bool) -> None:
    pair = SessionPair(cleartext_data=cleartext_data)
    pair.connect()
    for _ in range(5):
        for line in range(2):
            pair.rebind(line)
        pair.run(1.2)
        for line in range(2):
            assert pair.server.session.path(line).peer == pair.client_address(line)
        before = len(pair.client.delivered)
        down = pair.transfer(range(before, before + 10), from_server=True)
        pair.run(0.2)
        assert pair.client.delivered[before:] == down
    assert ups(pair.server) == ups(pair.client) == 2
    assert sum(isinstance(event, PeerMoved) for event in pair.server.events) == 2 + 5 * 2


@modes
def test_the_server_restarts_alone(cleartext_data: bool) -> None:
    """The client learns of the restart by the DISCONNECT that answers its first KEEPALIVE, long before its timeout."""
    pair = SessionPair(timeout=60.0, cleartext_data=cleartext_data)
    pair.connect()
    pair.transfer(range(100), from_server=True)
    pair.restart(pair.server)
    pair.run(1.2)
    assert pair.server.up == pair.client.up == [0, 1]
    assert [e for e in pair.client.events if isinstance(e, PeerRestarted)] == [PeerRestarted(0), PeerRestarted(1)]
    assert ups(pair.client) == 2
    before = len(pair.client.delivered)
    down = pair.transfer(range(100, 150), from_server=True)
    up = pair.transfer(range(150, 200))
    pair.run(1)
    assert pair.client.delivered[before:] == down
    assert pair.server.delivered == up


@modes
def test_the_client_restarts_alone(cleartext_data: bool) -> None:
    pair = SessionPair(timeout=60.0, cleartext_data=cleartext_data)
    pair.connect()
    pair.transfer(range(100))
    pair.run(1)
    before = len(pair.server.delivered)
    pair.restart(pair.client)
    pair.run(0.5)
    assert pair.client.up == [0, 1]
    assert [e for e in pair.server.events if isinstance(e, PeerRestarted)] == [PeerRestarted(0), PeerRestarted(1)]
    assert ups(pair.server) == 2
    assert not any(isinstance(event, PathDown) for event in pair.server.events)
    down = pair.transfer(range(100, 150), from_server=True)
    up = pair.transfer(range(150, 200))
    pair.run(1)
    assert pair.client.delivered == down
    assert pair.server.delivered[before:] == up


@pytest.mark.parametrize("first_seq", [0, 7, 1_000_000])
@pytest.mark.parametrize("said", [False, True], ids=["killed", "stopped"])
@sides
def test_an_end_whose_clock_is_years_back_is_back_at_once(side: str, said: bool, first_seq: int) -> None:
    """A router without a battery has had a power cut: all its numbers are smaller than before."""
    pair = SessionPair([Line(delay=0.03), Line(delay=0.1)], timeout=10.0)
    pair.connect()
    pair.transfer(range(100))
    pair.transfer(range(100), from_server=True)
    pair.run(1)
    if said:
        pair.stop(end_of(pair, side))
    new = pair.restart(end_of(pair, side), first_seq=first_seq)
    other = pair.server if side == "client" else pair.client
    took = 0.0
    while took < 3 and not (
        pair.client.up == pair.server.up == [0, 1] and all(p.rtt.has_sample for p in new.session.paths)
    ):
        pair.run(0.1)
        took += 0.1
    assert took < 1.3
    before = len(other.delivered)
    up = pair.transfer(range(200, 300), from_server=side == "server")
    down = pair.transfer(range(300, 400), from_server=side == "client")
    pair.run(1)
    assert sorted(other.delivered[before:]) == up
    assert sorted(new.delivered[-100:]) == down


@sides
def test_a_restart_on_a_bad_line_is_found_within_seconds(side: str) -> None:
    for seed in range(20):
        pair = SessionPair([Line(loss=0.4)], seed=seed, timeout=60.0)
        pair.run(20)
        assert pair.client.up == [0]
        pair.restart(end_of(pair, side))
        pair.run(30)
        before = len(pair.client.delivered), len(pair.server.delivered)
        pair.transfer(range(20), from_server=True)
        pair.transfer(range(20))
        pair.run(1)
        assert len(pair.client.delivered) > before[0]
        assert len(pair.server.delivered) > before[1]


def test_a_clean_stop_is_told() -> None:
    pair = SessionPair(timeout=60.0)
    pair.connect()
    pair.stop(pair.client)
    pair.run(0.1)
    assert pair.server.up == []


@modes
@sides
def test_everything_recorded_is_played_again(side: str, cleartext_data: bool) -> None:
    """From the peer's own address, in any order: nothing comes twice, no link is lost, the peer is still heard."""
    pair = SessionPair(cleartext_data=cleartext_data, timeout=3.0)
    pair.connect()
    pair.transfer(range(100), from_server=True)
    pair.transfer(range(100, 200))
    pair.run(1)
    target = end_of(pair, side)
    delivered = list(target.delivered)
    recording = [flight for flight in pair.recording if flight.to_server == (side == "server")]
    for _ in range(5):
        pair.random.shuffle(recording)
        for flight in recording:
            pair.inject(flight, pair.random.random())
        pair.run(1)
    assert target.delivered == delivered
    assert pair.client.up == pair.server.up == [0, 1]
    assert ups(pair.client) == ups(pair.server) == 2


@modes
@sides
def test_the_recording_of_an_older_session_costs_seconds_at_most(side: str, cleartext_data: bool) -> None:
    """Both ends have been restarted since, so no window knows the old numbers."""
    pair = SessionPair(cleartext_data=cleartext_data, timeout=5.0)
    pair.connect()
    pair.transfer(range(100))
    pair.transfer(range(100), from_server=True)
    pair.run(10)
    old = [flight for flight in pair.recording if flight.to_server == (side == "server")]
    pair.restart(pair.server)
    pair.restart(pair.client)
    pair.run(3)
    assert pair.client.up == pair.server.up == [0, 1]
    for number, flight in enumerate(old):
        pair.inject(flight._replace(source=("203.0.113.66", 6666)), 0.02 * number)
    pair.run(0.02 * len(old) + 15)
    assert pair.client.up == pair.server.up == [0, 1]
    for line in range(2):
        assert pair.server.session.path(line).peer == pair.client_address(line)
        assert pair.client.session.path(line).peer == pair.server_address(line)
    before = len(pair.client.delivered), len(pair.server.delivered)
    down = pair.transfer(range(1000, 1020), from_server=True)
    up = pair.transfer(range(2000, 2020))
    pair.run(1)
    assert (pair.client.delivered[before[0] :], pair.server.delivered[before[1] :]) == (down, up)


def test_recorded_disconnects_of_many_sessions_take_nothing_down() -> None:
    pair = SessionPair()
    for _ in range(5):
        pair.connect()
        pair.stop(pair.client)
        pair.stop(pair.server)
        pair.run(1)
        pair.restart(pair.server)
        pair.restart(pair.client)
    pair.connect()
    header = [flight.datagram[2] >> 4 for flight in pair.recording]
    old = [f for f, kind in zip(pair.recording, header, strict=True) if kind == PacketType.DISCONNECT]
    assert len(old) == 5 * 4 + 6 * 2
    for flight in old:
        pair.inject(flight, pair.random.random() * 5)
    pair.run(8)
    assert not any(isinstance(event, PathDown) for end in (pair.client, pair.server) for event in end.events)


def test_a_lossy_line_gets_no_traffic_and_comes_back() -> None:
    pair = SessionPair([Line(), Line(loss=0.5)], bandwidths=[1, 1], timeout=20.0)
    for end in (pair.client, pair.server):
        for path in end.session.paths:
            tolerant = type(path.parameters)(path.parameters.name, 20.0, loss_tolerance=20)
            end.session.set_parameters(path.number, tolerant, pair.now)
    pair.run(60)
    assert pair.client.session.carrying == (0,)
    sent = pair.transfer(range(100))
    pair.run(1)
    assert pair.server.delivered == sent
    pair.lines[1].loss = 0.0
    pair.run(60)
    assert pair.client.session.carrying == (0, 1)
    assert any(isinstance(event, PathStatusChanged) for event in pair.client.events)


def test_many_links() -> None:
    pair = SessionPair([Line(delay=0.001 * number) for number in range(128)])
    pair.connect()
    sent = pair.transfer(range(256), interval=0.01)
    pair.run(1)
    assert sorted(pair.server.delivered) == sorted(sent)


def test_a_disconnected_link_is_asked_for_again() -> None:
    pair = SessionPair()
    pair.connect()
    pair.client.session.disconnect(0, pair.now)
    pair.drain(pair.client)
    pair.run(2)
    assert [event for event in pair.server.events if isinstance(event, PathDown)] == [
        PathDown(0, DownReason.DISCONNECTED)
    ]
    assert pair.server.up == pair.client.up == [0, 1]
