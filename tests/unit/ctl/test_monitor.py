"""How events are written. tests/bus/test_mlvpnctl.py tests that they come, and from whom."""

from __future__ import annotations

import io
import time

import pytest

from mlvpnd.ctl.monitor import Event, show
from mlvpnd.ctl.output import Output, OutputOptions


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"Event": "StateChanged", "State": "up", "OldState": "down", "Reason": ""}, "down -> up"),
        ({"Event": "StateChanged", "State": "down", "OldState": "up", "Reason": "timeout"}, "up -> down (timeout)"),
        ({"Event": "LinkUp", "Link": "a"}, "link a is up"),
        ({"Event": "LinkDown", "Link": "a\x1b", "Reason": "config"}, "link a\\x1b is down (config)"),
        ({"Event": "LinkDown", "Link": "a", "Reason": "disabled"}, "link a is disabled"),
        ({"Event": "LinkEnabled", "Link": "a"}, "link a is enabled"),
        ({"Event": "LinkLossy", "Link": "a", "LossPercent": 14}, "link a is lossy, 14 % are lost"),
        ({"Event": "LinkSlow", "Link": "a", "SmoothedRttUSec": 320_000}, "link a is slow, round trip 320 ms"),
        ({"Event": "Reloaded", "OK": True, "Message": ""}, "reloaded"),
        ({"Event": "Reloaded", "OK": False, "Message": "f:3: bad"}, "reload failed: f:3: bad"),
        ({"Event": "Started"}, "started"),
        ({"Event": "Stopped"}, "stopped"),
    ],
)
def test_lines(event: Event, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    stream = io.StringIO()
    show({"Timestamp": 1_000_000, "Tunnel": "t", **event}, Output(OutputOptions(), stream))
    assert stream.getvalue() == f"Jan 01 00:00:01 t: {text}\n"
