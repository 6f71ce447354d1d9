from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvpnd.config.model import LinkConfig
from mlvpnd.helper import sockets
from mlvpnd.helper.files import UnsafeFile
from mlvpnd.helper.resolver import ResolveError, Resolver
from mlvpnd.helper.sockets import ControlSocket, SocketError

from .descriptors import open_descriptors


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield sock


def _control() -> ControlSocket:
    return ControlSocket(os.geteuid(), os.getegid())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_udp_socket_is_duplicated(family: socket.AddressFamily) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as given, sockets.udp_socket(given.fileno()) as sock:
        assert sock.family == family


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, 0),
        (socket.AF_UNIX, socket.SOCK_DGRAM, 0),
        (socket.AF_NETLINK, socket.SOCK_DGRAM, 0),
    ],
)
def test_other_sockets_are_refused(family: int, kind: int, protocol: int) -> None:
    with socket.socket(family, kind, protocol) as given:
        before = open_descriptors()
        with pytest.raises(SocketError, match="not a UDP socket"):
            sockets.udp_socket(given.fileno())
        assert open_descriptors() == before


def test_a_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        before = open_descriptors()
        with pytest.raises(SocketError, match="not a socket"):
            sockets.udp_socket(file.fileno())
        assert open_descriptors() == before


def test_tuning_enlarges_the_buffer(udp: socket.socket) -> None:
    before = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    sockets.tune(udp)
    after = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert after == 2 * sockets.RECEIVE_BUFFER_SIZE if os.geteuid() == 0 else after >= before


def test_binding_as_the_section_says(udp: socket.socket) -> None:
    link = LinkConfig("adsl1", bindhost="127.0.0.1", binddevice="lo")
    asyncio.run(sockets.bind(udp, link, Resolver()))
    host, port = udp.getsockname()
    assert host == "127.0.0.1"
    assert port > 0
    assert udp.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        (LinkConfig("adsl1", bindhost="192.0.2.1"), r"^bind error: 192.0.2.1 port 0: Cannot assign"),
        (LinkConfig("adsl1", binddevice="mlvnix9"), r"^bind error: binddevice mlvnix9: No such device"),
    ],
)
def test_a_bind_that_fails_names_the_link(udp: socket.socket, link: LinkConfig, reason: str) -> None:
    with pytest.raises(SocketError, match=reason):
        asyncio.run(sockets.bind(udp, link, Resolver()))


def test_an_address_of_the_other_family(udp: socket.socket) -> None:
    with pytest.raises(ResolveError):
        asyncio.run(sockets.bind(udp, LinkConfig("adsl1", bindhost="::1"), Resolver()))


def test_the_control_socket_is_its_owners_alone(trusted_directory: Path) -> None:
    path = trusted_directory / "control"
    control = _control()
    old = os.umask(0)
    try:
        listener = control.open(str(path))
    finally:
        os.umask(old)
    with listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_uid == os.geteuid()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert not listener.getblocking()
        control.remove()
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_control_socket_belongs_to_the_daemons_user(trusted_directory: Path) -> None:
    path = trusted_directory / "control"
    control = ControlSocket(65534, 65533)
    with control.open(str(path)):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65533)
    control.remove()


def test_a_stale_socket_is_replaced(trusted_directory: Path) -> None:
    path = trusted_directory / "control"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    control = _control()
    control.open(str(path)).close()
    control.open(str(path)).close()  # our own socket of a moment ago is replaced as well
    control.remove()


def test_a_socket_in_use_is_left_alone(trusted_directory: Path) -> None:
    path = trusted_directory / "control"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(SocketError, match="another process listens there"):
            _control().open(str(path))
        assert path.exists()


def test_another_file_is_left_alone(trusted_directory: Path) -> None:
    path = trusted_directory / "control"
    path.write_text("precious")
    with pytest.raises(SocketError, match="not a socket"):
        _control().open(str(path))
    assert path.read_text() == "precious"


def test_only_our_own_file_is_removed(trusted_directory: Path) -> None:
    path = trusted_directory / "control"
    control = _control()
    control.open(str(path)).close()
    path.rename(path.with_name("kept"))  # its inode must not be used again
    path.write_text("another's")
    control.remove()
    assert path.read_text() == "another's"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("control", "must be an absolute path"),
        ("/nix/control", "No such file"),
    ],
)
def test_a_place_that_will_not_do(path: str, reason: str) -> None:
    with pytest.raises(UnsafeFile, match=reason):
        _control().open(path)


def test_a_path_that_is_too_long(trusted_directory: Path) -> None:
    with pytest.raises(SocketError, match="cannot bind socket .*too long"):
        _control().open(str(trusted_directory / ("x" * 120)))


def test_the_umask_of_other_threads_is_never_changed(trusted_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = threading.Event()
    monkeypatch.setattr(os, "umask", lambda _mask: called.set())
    control = _control()
    control.open(str(trusted_directory / "control")).close()
    control.remove()
    assert not called.is_set()


def test_a_bindhost_that_is_an_interface(udp: socket.socket) -> None:
    asyncio.run(sockets.bind(udp, LinkConfig("adsl1", bindhost="lo"), Resolver()))
    assert udp.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
    assert udp.getsockname()[0] == "0.0.0.0"
