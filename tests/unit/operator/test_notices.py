"""Who is told what, and in which order; nobody is told where nothing has changed."""

from __future__ import annotations

import logging

import pytest

from mlvpnd.operator.face import LinkChanged, Notice, Reloaded, TunnelChanged
from mlvpnd.operator.notices import Reports
from mlvpnd.operator.status import LinkState


def test_changes_are_told_in_order_and_only_changes() -> None:
    reports, told = Reports(), list[Notice]()
    reports.subscribe(told.append)
    reports.link("adsl1", LinkState.DISCONNECTED)
    reports.link("adsl1", LinkState.CONNECTED)
    reports.link("adsl1", LinkState.CONNECTED)
    reports.tunnel("down")
    reports.tunnel("up")
    reports.tunnel("up")
    reports.link("adsl2", LinkState.WAITING)
    reports.link("adsl1", LinkState.DISCONNECTED, "timeout")
    reports.tunnel("down", "stop")
    assert told == [
        LinkChanged("adsl1", LinkState.DISCONNECTED, LinkState.CONNECTED),
        TunnelChanged("down", "up"),
        LinkChanged("adsl2", LinkState.DISCONNECTED, LinkState.WAITING),
        LinkChanged("adsl1", LinkState.CONNECTED, LinkState.DISCONNECTED, "timeout"),
        TunnelChanged("up", "down", "stop"),
    ]


def test_a_link_that_was_removed_begins_anew() -> None:
    reports, told = Reports(), list[Notice]()
    reports.link("adsl1", LinkState.CONNECTED)
    reports.forget_link("adsl1")
    reports.forget_link("adsl1")
    reports.subscribe(told.append)
    reports.link("adsl1", LinkState.CONNECTED)
    assert told == [LinkChanged("adsl1", LinkState.DISCONNECTED, LinkState.CONNECTED)]


def test_who_has_left_is_not_told() -> None:
    reports, told, others = Reports(), list[Notice](), list[Notice]()
    leave = reports.subscribe(told.append)
    reports.subscribe(others.append)
    reports.tell(Reloaded(ok=True))
    leave()
    reports.tell(Reloaded(ok=False, message="no"))
    assert told == [Reloaded(ok=True)]
    assert others == [Reloaded(ok=True), Reloaded(ok=False, message="no")]


def test_who_leaves_while_being_told_keeps_nobody_from_being_told() -> None:
    reports, told = Reports(), list[Notice]()
    leave = reports.subscribe(lambda _notice: leave())
    reports.subscribe(told.append)
    reports.tell(Reloaded(ok=True))
    reports.tell(Reloaded(ok=True))
    assert len(told) == 2


def test_a_listener_fails_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    reports, told = Reports(), list[Notice]()

    def fail(_notice: Notice) -> None:
        raise ZeroDivisionError

    reports.subscribe(fail)
    reports.subscribe(told.append)
    reports.tell(Reloaded(ok=True))
    assert told == [Reloaded(ok=True)]
    assert caplog.messages == ["a listener failed"]
