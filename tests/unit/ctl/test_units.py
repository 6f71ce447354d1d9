"""systemd's words for a tunnel that does not answer. A real manager is asked in tests/system/test_listing.py."""

from __future__ import annotations

import pytest

from mlvpnd.ctl.units import Unit, loaded


@pytest.mark.parametrize(
    ("unit", "state", "reason"),
    [
        (Unit("inactive", "dead"), "stopped", ""),
        (Unit("failed", "failed", 0, "exit-code"), "failed", "the last process ended with exit-code"),
        (Unit("activating", "start"), "starting", ""),
        (
            Unit("activating", "start", 7, "exit-code"),
            "restarting",
            "systemd has started it again 7 times; the last process ended with exit-code",
        ),
        (Unit("activating", "auto-restart", 0, "success"), "restarting", "systemd is about to start it again"),
        (
            Unit("activating", "auto-restart-queued", 1, "watchdog"),
            "restarting",
            "systemd has started it again once; the last process ended with watchdog",
        ),
        (Unit("deactivating", "stop-sigterm"), "stopping", ""),
        (Unit("active", "running"), "running", "it runs and cannot be asked"),
        (Unit("reloading", "reload"), "running", "it runs and cannot be asked"),
    ],
)
def test_states(unit: Unit, state: str, reason: str) -> None:
    assert (unit.state, unit.reason) == (state, reason)


def test_what_the_manager_tells() -> None:
    asked = []

    def call(_name: str, path: str, interface: str, member: str, *words: object) -> list[object]:
        asked.append((path, member, *words))
        if member == "GetAll":
            return [{"NRestarts": 3, "Result": "exit-code", "Type": "notify"}]
        rest = ("", path, 0, "", "/")
        return [
            [
                ["mlvpn@a.service", "A", "loaded", "active", "running", *rest],
                ["mlvpn@b.c.service", "B", "loaded", "activating", "auto-restart", "", "/b", 0, "", "/"],
            ]
        ]

    assert loaded(call) == {
        "a": Unit("active", "running"),
        "b.c": Unit("activating", "auto-restart", 3, "exit-code"),
    }
    assert asked[0][1:] == ("ListUnitsByPatterns", "asas", [], ["mlvpn@*.service"])
    assert [path for path, member, *_ in asked if member == "GetAll"] == ["/b"]


def test_odd_answers() -> None:
    assert loaded(lambda *_words: ["nothing"]) == {}
