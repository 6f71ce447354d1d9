"""What the host's programs tell, and what if they are missing. Real ones are in tests/system/test_listing.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlvpnd.ctl import host


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of the programs that there are."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    return tmp_path


def program(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o700)


ADDRESSES = """cat <<END
[{"ifname": "mlvpn0", "addr_info": [
  {"family": "inet", "local": "10.42.0.2", "prefixlen": 24, "scope": "global"},
  {"family": "inet6", "local": "fd42::2", "prefixlen": 64, "scope": "global"},
  {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"}]}]
END"""
ROUTES = """case "$2" in -4) cat <<END
[{"dst": "10.42.0.0/24", "protocol": "kernel"}, {"dst": "default", "protocol": "static"},
 {"dst": "10.99.0.0/24", "protocol": "boot", "table": "101"},
 {"type": "local", "dst": "10.42.0.2", "table": "local", "protocol": "boot"}]
END
;; *) echo '[{"dst": "2001:db8::/32", "protocol": "static"}]' ;; esac"""


def test_addresses(programs: Path) -> None:
    program(programs, "ip", f"export PATH=/usr/bin:/bin; {ADDRESSES}")
    assert host.addresses("mlvpn0") == ["10.42.0.2/24", "fd42::2/64"]


def test_routes(programs: Path) -> None:
    program(programs, "ip", f"export PATH=/usr/bin:/bin; {ROUTES}")
    assert host.routes("mlvpn0") == ["default", "10.99.0.0/24 table 101", "2001:db8::/32"]


def test_the_journal(programs: Path) -> None:
    program(programs, "journalctl", 'echo "$*"; echo second')
    first, second = host.last_lines("home")
    assert first.startswith("--unit mlvpn@home.service --lines=10")
    assert second == "second"


@pytest.mark.parametrize("text", ["", "exit 1", "echo '{'", "echo 7", "echo '[7]'", None])
def test_a_program_that_is_missing_or_odd(programs: Path, text: str | None) -> None:
    if text is not None:
        program(programs, "ip", text)
    assert (host.addresses("x"), host.routes("x")) == ([], [])
    assert host.last_lines("x") == []
