"""Places and files that the helper trusts; it does not trust pytest's temporary directory below /tmp."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CONFIG = """
[general]
mode = "client"
password = "secret"
interface_name = "mlvtest%d"

[adsl1]
bindhost = "127.0.0.1"
remotehost = "localhost"
remoteport = "5080"

[adsl2]
remotehost = "127.0.0.1"
remoteport = "5081"
"""


@pytest.fixture
def trusted_directory() -> Iterator[Path]:
    """A new directory that only root, or whoever runs the tests, can change."""
    home = pwd.getpwuid(os.geteuid()).pw_dir
    with tempfile.TemporaryDirectory(dir=home, prefix="mlvpnd-test-") as directory:
        yield Path(directory)


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    """A configuration file with two links."""
    path = tmp_path / "mlvpn.conf"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What mlvpnd logs, whatever an earlier test set up."""
    import logging

    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    caplog.set_level(logging.DEBUG, "mlvpnd")
    return caplog
