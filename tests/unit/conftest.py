"""Fixtures of several modules' tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvpnd import continuity, proctitle
from mlvpnd import daemon as daemon_module
from mlvpnd.bus import manager
from tests.support.service_host import Host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(daemon_module, "RELOAD_DELAY", 0.01)
    monkeypatch.setattr(continuity, "SAVE_INTERVAL", 0.02)
    monkeypatch.setattr(daemon_module, "RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(proctitle, "set_title", lambda *_, **__: None)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    host = Host(tmp_path)
    monkeypatch.setattr(manager, "is_restarting", host.is_restarting)
    monkeypatch.setattr(daemon_module, "interface_of", lambda _descriptor: ("mlvpn0", False))
    monkeypatch.setattr(daemon_module, "mtu_of", lambda _name: 1234)
    yield host
    host.close()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    caplog.set_level(logging.INFO, "mlvpnd")
    return caplog
