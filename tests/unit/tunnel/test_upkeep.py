"""What is put back, and when no longer."""

from __future__ import annotations

import logging

import pytest

from mlvpnd.tunnel.upkeep import MOST, SPAN, Upkeep


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)


def test_it_is_given_up_after_five_times_in_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    upkeep = Upkeep()
    for number in range(MOST):
        assert not upkeep.given_up
        upkeep.put_back("mlvpn0", ["link up", "mtu 1428"], 10.0 * number)
    assert upkeep.given_up
    assert caplog.messages[:MOST] == ["mlvpn0 somebody took away: link up, mtu 1428; put back"] * MOST
    (error,) = caplog.messages[MOST:]
    assert error.startswith("mlvpn0 was changed 5 times within a minute: nothing is put back any more until a reload.")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * MOST + ["ERROR"]
    events = [vars(record)["journal"] for record in caplog.records]
    assert events[0] == {"EVENT": "interface-changed", "TAKEN": "link up, mtu 1428"}
    assert events[-1] == {"EVENT": "interface-given-up"}


def test_what_is_seldom_is_put_back_for_ever() -> None:
    upkeep = Upkeep()
    for number in range(3 * MOST):
        upkeep.put_back("mlvpn0", ["link up"], number * SPAN / (MOST - 1))
    assert not upkeep.given_up


def test_a_reload_begins_anew() -> None:
    upkeep = Upkeep()
    for number in range(MOST):
        upkeep.put_back("mlvpn0", ["link up"], float(number))
    upkeep.renew()
    assert not upkeep.given_up
    for number in range(MOST - 1):
        upkeep.put_back("mlvpn0", ["link up"], 10.0 + number)
    assert not upkeep.given_up
