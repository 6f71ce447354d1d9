"""A process is replaced and its session goes on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from mlvpnd.protocol.links.path import Address
from mlvpnd.protocol.links.resume import MAX_REMEMBERED_IDS, recall, remember
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.wire.box import derive_key
from mlvpnd.protocol.wire.drops import DropReason
from tests.support.session_pair import KEY, End, SessionPair
from tests.support.twins import TWINS, native_session


# Not called `twin`: of two automatic fixtures of one name, Debian 12's pytest parametrizes the inner one twice.
@pytest.fixture(autouse=True, params=TWINS)
def made_of(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ends are made of the parts of one twin."""
    with native_session() if request.param == "native" else nullcontext():
        yield


def replace(pair: SessionPair, end: End, *, pause: float = 0.4) -> End:
    """A new process takes up what the old one left as JSON."""
    text = json.dumps(remember(end.session, pair.now))
    pair.now += pause
    new = pair.restart(end)
    assert recall(new.session, json.loads(text), pair.now)
    return new


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("cleartext", [False, True])
def test_the_peer_notices_nothing(side: str, *, cleartext: bool) -> None:
    pair = SessionPair(cleartext_data=cleartext)
    pair.connect()
    pair.transfer(range(50))
    pair.run(1)
    new = replace(pair, pair.server if side == "server" else pair.client)
    assert new.up == [0, 1]
    other = pair.client if side == "server" else pair.server
    told = len(other.events)
    up = pair.transfer(range(100, 150))
    down = pair.transfer(range(200, 250), from_server=True)
    pair.run(1)
    assert pair.server.delivered[-50:] == up
    assert pair.client.delivered[-50:] == down
    assert other.events[told:] == []
    assert new.events == []


@pytest.mark.parametrize(
    "peer",
    [("192.0.2.9", 5080, "198.51.100.9"), ("fe80::9", 5080, 0, 2, "fe80::1", 2)],
    ids=["IPv4", "IPv6"],
)
def test_which_address_the_peer_calls_is_known_afterwards(peer: Address) -> None:
    pair = SessionPair()
    pair.connect()
    pair.server.session.path(0).peer = peer
    assert replace(pair, pair.server).session.path(0).peer == peer


def test_a_session_goes_on_with_another_twin() -> None:
    """Both twins remember the same, and each takes it up as it was."""
    pair = SessionPair()
    pair.connect()
    pair.transfer(range(50))
    memory = remember(pair.server.session, pair.now)
    for other in (native_session(), nullcontext()):
        with other:
            new = pair.restart(pair.server)
            assert recall(new.session, memory, pair.now)
            assert remember(new.session, pair.now)["flows"] == memory["flows"]
            assert not any(flow.window.may_accept(flow.window.newest) for flow in new.session.gate.flows)


def test_what_came_while_nobody_listened_was_not_lost_on_the_line() -> None:
    pair = SessionPair(loss_tolerance=5)
    pair.connect()
    pair.transfer(range(200), from_server=True)
    text = json.dumps(remember(pair.client.session, pair.now))
    for line in pair.lines:
        line.cut = True
    pair.transfer(range(200, 600), from_server=True)
    for line in pair.lines:
        line.cut = False
    new = pair.restart(pair.client)
    assert recall(new.session, json.loads(text), pair.now)
    pair.transfer(range(600, 5000), from_server=True)
    assert [path.loss_percent for path in new.session.paths] == [0, 0]
    assert (new.session.carrying, new.events) == ((0, 1), [])


def test_what_was_recorded_before_is_a_replay_after() -> None:
    pair = SessionPair()
    pair.connect()
    pair.transfer(range(50))
    pair.run(1)
    recording = list(pair.recording)
    new = replace(pair, pair.server)
    for flight in recording:
        pair.inject(flight)
    pair.run(0.5)
    assert new.delivered == []
    drops = [path.drops for path in new.session.paths]
    assert all(set(counter) <= {DropReason.REPLAYED, DropReason.REFLECTED, DropReason.WRONG_LINK} for counter in drops)
    assert sum(counter[DropReason.REPLAYED] for counter in drops) >= 50


def test_numbers_only_grow_even_if_the_clock_went_back() -> None:
    pair = SessionPair()
    pair.connect()
    pair.transfer(range(50))
    pair.run(1)
    last = [path.next_seq for path in pair.client.session.paths]
    memory = remember(pair.client.session, pair.now)
    parameters = SessionParameters(KEY, is_server=False, reorder_size=64)
    session = Session(parameters, 5, iter(range(1, 10)).__next__)
    for number, path in enumerate(pair.client.session.paths):
        session.add_path(number, path.parameters, 5)
    assert recall(session, memory, pair.now)
    assert all(path.next_seq > before for path, before in zip(session.paths, last, strict=True))
    assert session.next_data_seq > pair.client.session.next_data_seq


@pytest.mark.parametrize("side", ["server", "client"])
def test_after_a_long_pause_links_are_up_until_the_peer_says_otherwise(side: str) -> None:
    pair = SessionPair(timeout=5.0)
    pair.connect()
    new = replace(pair, pair.server if side == "server" else pair.client, pause=6.0)
    assert new.up == [0, 1]
    pair.run(2)
    assert pair.client.up == pair.server.up == [0, 1]
    sent = pair.transfer(range(50))
    pair.run(1)
    assert pair.server.delivered[-50:] == sent


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_peer_that_was_greeted_before_waits_a_whole_timeout(side: str) -> None:
    """Otherwise the timeout would be shorter by up to a second, the time between two KEEPALIVEs."""
    pair = SessionPair()
    pair.connect()
    pair.run(1.9)
    end, other = (pair.server, pair.client) if side == "server" else (pair.client, pair.server)
    timeout = min(path.parameters.timeout for path in other.session.paths)
    end.session.greet(pair.now)
    pair.drain(end)
    pair.run(0.1)
    assert [pair.now - path.heard_at < 0.2 for path in other.session.paths] == [True, True]
    told = len(other.events)
    new = replace(pair, end, pause=timeout - 0.3)
    pair.run(1)
    assert new.up == [0, 1]
    assert other.events[told:] == []


def test_a_peer_that_is_gone_is_missed_after_the_timeout() -> None:
    pair = SessionPair(timeout=5.0)
    pair.connect()
    new = replace(pair, pair.client, pause=6.0)
    for line in pair.lines:
        line.cut = True
    pair.run(5.5)
    assert new.up == []


@pytest.mark.parametrize(
    "change",
    [{"key": derive_key(b"another")}, {"is_server": True}],
)
def test_another_password_or_role_begins_anew(change: dict[str, Any]) -> None:
    pair = SessionPair()
    pair.connect()
    memory = remember(pair.client.session, pair.now)
    parameters = dataclasses.replace(SessionParameters(KEY, is_server=False), **change)
    session = Session(parameters, 5, lambda: 77)
    assert not recall(session, memory, pair.now)
    assert not recall(session, memory | {"version": 0}, pair.now)
    assert len(session.gate.flows) == 0


def test_links_that_came_and_went_meanwhile() -> None:
    pair = SessionPair()
    pair.connect()
    memory = remember(pair.client.session, pair.now)
    session = Session(SessionParameters(KEY, is_server=False), 5, iter(range(1, 10)).__next__)
    link1, other = (
        pair.client.session.path(1).parameters,
        dataclasses.replace(pair.client.session.path(1).parameters, name="other"),
    )
    session.add_path(0, other, 5)
    session.add_path(1, link1, 5)
    assert recall(session, memory, pair.now)
    assert [path.up for path in session.paths] == [False, True]
    assert session.carrying == (1,)


@pytest.mark.parametrize("side", ["server", "client"])
def test_clear_data_that_was_recorded_before_is_a_replay_after(side: str) -> None:
    pair = SessionPair(cleartext_data=True)
    pair.connect()
    end = pair.server if side == "server" else pair.client
    before = pair.transfer(range(50), from_server=side == "client")
    pair.run(0.5)  # for the last packets; some have no KEEPALIVE behind them
    assert end.delivered[-50:] == before
    recording = list(pair.recording)
    new = replace(pair, end)
    for flight in recording:
        pair.inject(flight)
    pair.run(0.2)
    assert new.delivered == []
    after = pair.transfer(range(100, 150), from_server=side == "client")
    pair.run(1)
    assert new.delivered == after


def test_a_memory_without_clear_windows_is_taken_up_too() -> None:
    """It is of an older version, or of a session that has brought no clear DATA."""
    pair = SessionPair(cleartext_data=True)
    pair.connect()
    memory = remember(pair.server.session, pair.now)
    for flow in memory["flows"]:
        del flow["clear"]
    new = pair.restart(pair.server)
    assert recall(new.session, memory, pair.now)
    sent = pair.transfer(range(50))
    pair.run(1)
    assert new.delivered == sent


@pytest.mark.parametrize("clear", [[5, "00"], [0, "zz"], [0, "00" * (1 << 17)], [-8, ""], ["0", ""], 7])
def test_a_clear_window_that_is_none_is_an_error(clear: object) -> None:
    pair = SessionPair(cleartext_data=True)
    pair.connect()
    memory = remember(pair.server.session, pair.now)
    memory["flows"][0]["clear"] = clear
    new = pair.restart(pair.server)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        recall(new.session, memory, pair.now)


def test_the_newest_of_many_own_flows_are_remembered() -> None:
    """The greatest are not kept: the flows of the links in use came last, whatever their numbers are."""
    pair = SessionPair()
    session = pair.client.session
    for flow_id in range(1 << 31, (1 << 31) + MAX_REMEMBERED_IDS):
        session.gate.flows.add_own(flow_id)
    session.gate.flows.add_own(7)
    assert remember(session, pair.now)["own_flow_ids"][-1] == 7
    assert len(remember(session, pair.now)["own_flow_ids"]) == MAX_REMEMBERED_IDS
