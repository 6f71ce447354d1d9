"""Reaching the helper's roles."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mlvpnd.helper import address
from mlvpnd.helper.address import Role


def listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind(str(path))
    sock.listen()
    sock.settimeout(1)
    return sock


@pytest.mark.parametrize("role", Role)
def test_each_role_has_its_socket(tmp_path: Path, role: Role) -> None:
    with listening(tmp_path / f"a{role.value}") as server, address.connect("a", role, str(tmp_path)) as client:
        client.send(b"hello")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(10) == b"hello"


def test_waking_is_a_connection_that_says_nothing(tmp_path: Path) -> None:
    with listening(tmp_path / "a.sock") as server:
        address.wake("a", Role.HELPER, str(tmp_path))
        connection, _ = server.accept()
        with connection:
            assert connection.recv(10) == b""


@pytest.mark.parametrize("instance", ["none", "x" * 200])
def test_nobody_there(tmp_path: Path, instance: str) -> None:
    address.wake(instance, Role.HELPER, str(tmp_path))
    with pytest.raises(OSError, match="No such file|too long"):
        address.connect(instance, Role.HELPER, str(tmp_path))
