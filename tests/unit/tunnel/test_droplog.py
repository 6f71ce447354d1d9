"""Lines about refused datagrams: the first at once, then sums, whatever a stranger sends."""

from __future__ import annotations

import logging

import pytest

from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.tunnel.droplog import INTERVAL, DropLog

FORGED, SHORT = DropReason.NOT_AUTHENTIC, DropReason.SHORT


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    return caplog.messages


def test_the_first_at_once_and_then_a_sum(caplog: pytest.LogCaptureFixture, lines: list[str]) -> None:
    log = DropLog()
    log.look("adsl1", {FORGED: 0, SHORT: 0}, 0.0)
    assert caplog.messages == []
    for count in range(1, 101):
        log.look("adsl1", {FORGED: count, SHORT: count // 2}, count * 0.1)
    assert caplog.messages == ["adsl1 crypto_decrypt failed: -1 (1)"]
    assert vars(caplog.records[0])["journal"] == {"EVENT": "auth-failed", "LINK": "adsl1"}
    log.look("adsl1", {FORGED: 100, SHORT: 50}, 0.1 + INTERVAL)
    assert caplog.messages[1:] == ["adsl1 crypto_decrypt failed: -1 (99), received invalid packet (50)"]
    log.look("adsl1", {FORGED: 100, SHORT: 50}, 10 * INTERVAL)
    assert len(caplog.messages) == 2


def test_links_have_lines_of_their_own(caplog: pytest.LogCaptureFixture, lines: list[str]) -> None:
    log = DropLog()
    log.look("adsl1", {FORGED: 1}, 0.0)
    log.look("adsl2", {SHORT: 2}, 0.0)
    assert caplog.messages == ["adsl1 crypto_decrypt failed: -1 (1)", "adsl2 received invalid packet (2)"]
    assert vars(caplog.records[1])["journal"] == {"LINK": "adsl2"}


def test_what_is_no_attack_has_no_line_and_delays_none(caplog: pytest.LogCaptureFixture, lines: list[str]) -> None:
    log = DropLog()
    silent = next(reason for reason in DropReason if reason not in _spoken())
    log.look("adsl1", {silent: 5}, 0.0)
    assert caplog.messages == []
    log.look("adsl1", {silent: 5, FORGED: 1}, 0.1)
    assert caplog.messages == ["adsl1 crypto_decrypt failed: -1 (1)"]


def _spoken() -> set[DropReason]:
    return {
        DropReason.NOT_AUTHENTIC,
        DropReason.SHORT,
        DropReason.BAD_LENGTH,
        DropReason.BAD_VERSION,
        DropReason.REFLECTED,
        DropReason.REPLAYED,
        DropReason.BAD_PLAINTEXT,
        DropReason.WRONG_LINK,
        DropReason.CLEAR_NOT_ALLOWED,
    }


def test_a_link_that_begins_anew(caplog: pytest.LogCaptureFixture, lines: list[str]) -> None:
    log = DropLog()
    log.look("adsl1", {FORGED: 3}, 0.0)
    log.forget("adsl1")
    log.forget("never")
    log.look("adsl1", {FORGED: 3}, 0.1)
    assert caplog.messages == ["adsl1 crypto_decrypt failed: -1 (3)"] * 2
