"""Operators' lines: upstream's words, and what the journal is told beside them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mlvpnd.config.changes import LinkChange
from mlvpnd.config.model import LinkConfig
from mlvpnd.logs import log
from mlvpnd.protocol.links.events import DownReason, PathStatusChanged, TierChanged
from mlvpnd.protocol.links.path import Path, PathParameters, PathStatus
from mlvpnd.protocol.links.selection import Tier
from mlvpnd.tunnel.eventlog import FLAP_BURST, FLAP_INTERVAL, EventLog, log_update

OK, LOSSY, SLOW = PathStatus.AUTHOK, PathStatus.LOSSY, PathStatus.HIGH_LATENCY


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(log.ROOT), "propagate", True)
    caplog.set_level(logging.INFO, log.ROOT)


@pytest.fixture
def path() -> Path:
    path = Path(0, PathParameters("adsl1", 5.0, loss_tolerance=10, latency_tolerance=200), 7, 0)
    path.peer = ("192.0.2.1", 5080)
    path.rtt.update(250)
    return path


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, dict[str, Any]]]:
    return [(one.name, one.getMessage(), getattr(one, "journal", {})) for one in caplog.records]


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        ("down", "up", "tunnel-up"),
        ("down", "fallback", "tunnel-up"),
        ("up", "fallback", ""),
        ("up", "down", "tunnel-down"),
        ("fallback", "down", "tunnel-down"),
        ("up", "stopping", ""),
        ("down", "stopping", ""),
        ("connecting", "degraded", "tunnel-up"),
        ("connecting", "stopping", ""),
        ("degraded", "up", ""),
        ("degraded", "connecting", "tunnel-down"),
        ("connecting", "down", ""),
    ],
)
def test_whether_packets_can_pass(caplog: pytest.LogCaptureFixture, before: str, after: str, event: str) -> None:
    EventLog().tunnel(before, after)
    wanted = [("mlvpnd", event.replace("-", " is "), {"EVENT": event, "OLD_STATE": before, "STATE": after})]
    assert told(caplog) == (wanted if event else [])


def test_a_peer_that_does_not_hear_the_answers_is_warned_of(caplog: pytest.LogCaptureFixture, path: Path) -> None:
    events = EventLog()
    for _ in range(2 * FLAP_BURST):
        events.unheard(path, 100.0)
    text = "adsl1 the peer asks and does not hear the answers: the line is dead towards 192.0.2.1:5080"
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [(logging.WARNING, text)] * FLAP_BURST
    events.down(path, DownReason.UNHEARD)
    fields = {"EVENT": "link-down", "LINK": "adsl1", "STATE": "down", "REASON": "unheard"}
    assert told(caplog)[-1] == ("mlvpnd.protocol", "adsl1 the peer does not hear us", fields)


def test_up_and_down(caplog: pytest.LogCaptureFixture, path: Path) -> None:
    events = EventLog()
    events.up(path)
    events.down(path, DownReason.TIMEOUT)
    events.down(path, DownReason.DISCONNECTED)
    events.down(path, DownReason.CLOSED)
    events.down(path, DownReason.SOCKET_LOST)
    events.down(path, DownReason.ADDRESS_GONE)
    up = {"EVENT": "link-up", "LINK": "adsl1", "STATE": "up", "PEER": "192.0.2.1:5080"}
    down = {"EVENT": "link-down", "LINK": "adsl1", "STATE": "down"}
    assert told(caplog) == [
        ("mlvpnd.protocol", "adsl1 authenticated", up),
        ("mlvpnd.protocol", "adsl1 timeout", down | {"REASON": "timeout"}),
        ("mlvpnd.protocol", "adsl1 disconnect received", down | {"REASON": "disconnect"}),
        ("mlvpnd.protocol", "adsl1 socket lost", down | {"REASON": "error"}),
        ("mlvpnd.protocol", "adsl1 address gone", down | {"REASON": "uplink"}),
    ]


def test_a_link_that_is_held_down_is_told_of_once(caplog: pytest.LogCaptureFixture, path: Path) -> None:
    events = EventLog()
    for turn in range(20):
        path.damping.end(0.1, float(turn))
        events.down(path, DownReason.DISCONNECTED)
    said = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert [one.getMessage() for one in said] == [
        "adsl1 comes and goes: from now on it stays down for a second each time"
    ]


def test_a_peer_that_flaps_is_told_so_now_and_then(caplog: pytest.LogCaptureFixture, path: Path) -> None:
    events = EventLog()
    for tick in range(1000):
        path.peer = ("192.0.2.1", 1000 + tick)
        events.moved(path, tick * FLAP_INTERVAL / 100)
        events.restarted(path, tick * FLAP_INTERVAL / 100)
    said = [message for _, message, _ in told(caplog)]
    assert said[:2] == ["adsl1 new connection -> 192.0.2.1:1000", "adsl1 the peer has restarted"]
    assert FLAP_BURST + 9 <= len(said) / 2 <= FLAP_BURST + 10


@pytest.mark.parametrize(
    ("before", "after", "message", "event"),
    [
        (OK, LOSSY, "adsl1 packet loss reached threashold: 0%/10%", "link-lossy"),
        (LOSSY, OK, "adsl1 packet loss acceptable again: 0%/10%", None),
        (OK, SLOW, "adsl1 latency reached threashold: 250.000000ms/200ms", "link-slow"),
        (SLOW, OK, "adsl1 latency acceptable again: 250.000000ms/200ms", None),
    ],
)
def test_quality(
    caplog: pytest.LogCaptureFixture, path: Path, before: PathStatus, after: PathStatus, message: str, event: str | None
) -> None:
    EventLog().quality(path, PathStatusChanged(0, before, after))
    ((name, said, journal),) = told(caplog)
    assert (name, said, journal.get("EVENT")) == ("mlvpnd.rtt", message, event)


@pytest.mark.parametrize(
    ("before", "after", "messages", "event"),
    [
        (Tier.NORMAL, Tier.FALLBACK, ["all tunnels are down, lossy or too slow, switch fallback mode"], "fallback-on"),
        (
            Tier.NORMAL,
            Tier.LAST_RESORT,
            ["all tunnels are down, lossy or too slow but fallback is not available"],
            None,
        ),
        (Tier.FALLBACK, Tier.NORMAL, ["normal links carry the traffic again"], "fallback-off"),
        (Tier.LAST_RESORT, Tier.NORMAL, ["normal links carry the traffic again"], None),
        (Tier.NONE, Tier.NORMAL, [], None),
        (Tier.NORMAL, Tier.NONE, [], None),
    ],
)
def test_tiers(
    caplog: pytest.LogCaptureFixture, before: Tier, after: Tier, messages: list[str], event: str | None
) -> None:
    EventLog().tier(TierChanged(before, after))
    assert [message for _, message, _ in told(caplog)] == messages
    assert [journal["EVENT"] for _, _, journal in told(caplog) if journal] == ([event] if event else [])


def test_every_line_about_a_link_has_the_link_as_a_field(caplog: pytest.LogCaptureFixture, path: Path) -> None:
    """`mlvpnctl log TUNNEL LINK` asks the journal for it."""
    caplog.set_level(logging.DEBUG, "mlvpnd")
    events = EventLog()
    events.moved(path, 1.0)
    events.restarted(path, 1.0)
    events.unheard(path, 1.0)
    for before, after in ((OK, LOSSY), (LOSSY, OK), (OK, SLOW), (SLOW, OK)):
        events.quality(path, PathStatusChanged(0, before, after))
    for _ in range(20):
        path.damping.end(0.1, 1.0)
        events.down(path, DownReason.DISCONNECTED)
    log_update(LinkChange(LinkConfig("adsl1"), LinkConfig("adsl1", timeout=7), ("timeout",)))
    assert any("timeout" in one.getMessage() for one in caplog.records)
    assert {fields.get("LINK") for _, _, fields in told(caplog)} == {"adsl1"}
