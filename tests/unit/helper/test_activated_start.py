"""How the helper is started: what systemd must give it, and the real process behind a socket."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvpnd.helper import activated
from mlvpnd.helper.activated import ServiceError
from mlvpnd.systemd import notify

UNIT = "mlvpn@home.service"
PROJECT = Path(__file__).parents[3]


@pytest.fixture
def inherited(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, str]]:
    found: dict[int, str] = {}
    monkeypatch.setattr(notify, "inherited", lambda: found)
    yield found
    for descriptor in found:
        try:
            os.close(descriptor)
        except OSError:
            pass  # it is taken over


@pytest.mark.parametrize(
    ("sockets", "reason"),
    [
        ([], "0 sockets were passed"),
        (["helper", "script"], "2 sockets were passed"),
        (["unknown"], "the socket is named 'unknown' instead of one of helper, script"),
    ],
)
def test_how_it_must_be_started(inherited: dict[int, str], sockets: list[str], reason: str) -> None:
    for name in sockets:
        inherited[socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach()] = name
    with pytest.raises(ServiceError, match=reason):
        activated._inherited_socket()


@pytest.mark.parametrize(
    ("family", "kind"), [(socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_STREAM)]
)
def test_a_socket_of_another_kind(inherited: dict[int, str], family: int, kind: int) -> None:
    inherited[socket.socket(family, kind).detach()] = "helper"
    with pytest.raises(ServiceError, match="not a seqpacket socket"):
        activated._inherited_socket()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../x", "'../x' is not the name of a tunnel"),
        ("a b", "is not the name"),
        ("", "is not the name"),
        ("x", "0 sockets"),
    ],
)
def test_the_instance(name: str, reason: str, inherited: dict[int, str]) -> None:
    with pytest.raises(ServiceError, match=reason):
        asyncio.run(activated._serve(name))


def test_a_host_without_the_user(inherited: dict[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    inherited[socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach()] = "helper"
    monkeypatch.setattr(activated, "USER", "mlvpn-test-nobody")
    with pytest.raises(ServiceError, match="user mlvpn-test-nobody does not exist"):
        asyncio.run(activated._serve("x"))


@pytest.mark.parametrize("role", ["helper", "script"])
def test_started_by_a_socket(role: str, tmp_path: Path) -> None:
    """The real process, activated as systemd does it: READY, one question by a stranger, the end."""
    path = tmp_path / "socket"
    code = f"""
        import pwd, sys
        from mlvpnd.helper import activated
        activated.USER = {pwd.getpwuid(os.geteuid()).pw_name!r}
        activated.has_company = lambda: False  # the test's control group is not a unit's
        activated.Service.__init__.__kwdefaults__["idle_time"] = 0.3
        sys.exit(activated.main(["--instance", "home"]))
        """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(tmp_path / "notify"))
        notices.settimeout(20)
        command = ["systemd-socket-activate", "--listen", str(path), "--seqpacket", f"--fdname={role}"]
        command += ["-E", f"NOTIFY_SOCKET={tmp_path}/notify", "-E", f"PYTHONPATH={PROJECT}"]
        command += [sys.executable, "-c", textwrap.dedent(code)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            with _connected(path) as sock:
                assert notices.recv(100) == b"READY=1"
                sock.settimeout(20)
                _send_or_refused(sock)
            assert notices.recv(100) == b"STOPPING=1"
            _output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, errors
    assert f"[ ERR/privsep] request refused: process {os.getpid()} is not in {UNIT}" in errors


def _connected(path: Path) -> socket.socket:
    end = time.monotonic() + 20
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(str(path))
        except OSError:
            sock.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return sock


def _send_or_refused(sock: socket.socket) -> None:
    try:
        sock.send(b'{"op": "open-config"}')
        assert json.loads(sock.recv(1000)) == {"error": "refused"}
    except ConnectionError:
        pass
