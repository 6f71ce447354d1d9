"""Sockets that were bound before: which link goes on with which socket, and that no other socket keeps a port."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator

import pytest

from mlvpnd.config.model import Config, LinkConfig, Mode
from mlvpnd.systemd import inherited_sockets
from mlvpnd.systemd.fd_store import Keeper
from mlvpnd.systemd.given import Service
from mlvpnd.systemd.inherited_sockets import Sockets
from mlvpnd.systemd.notify import Notifier


class Given:
    """What systemd hands over, and what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.service = Service("test", Notifier(lambda text, _descriptors: self.said.append(text)))
        self.keeper = Keeper(self.service)
        self.said.clear()
        self.taken: list[socket.socket] = []

    def udp(self, name: str, host: str = "127.0.0.1", device: str = "") -> str:
        """Has systemd hold a socket; returns its port."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if device:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sock.bind((host, 0))
        port = sock.getsockname()[1]
        self.service.descriptors.setdefault(name, []).append(sock.detach())
        return str(port)

    def take(self, sockets: Sockets, link: LinkConfig, mode: Mode = Mode.SERVER) -> tuple[str, bool] | None:
        """Gives a link its socket; returns where the socket is bound, and whether it is ours to keep in the store."""
        adopted = sockets.take(link, Config(mode, b"x", links=(link,)))
        if adopted is None:
            return None
        self.taken.append(adopted.sock)
        assert adopted.sock.gettimeout() == 0
        assert adopted.ends.local == adopted.sock.getsockname()
        assert adopted.ends.family == adopted.sock.family
        assert adopted.ends.remote is None
        host, port = adopted.sock.getsockname()[:2]
        return f"{host} {port}", adopted.kept_by_us


@pytest.fixture
def given() -> Iterator[Given]:
    given = Given()
    yield given
    for sock in given.taken:
        sock.close()
    os.close(given.keeper._memory)


def test_a_link_goes_on_with_the_socket_of_its_name(given: Given) -> None:
    ports = [given.udp("link.adsl1"), given.udp("link.adsl2")]
    sockets = Sockets(given.service, given.keeper)
    for mode, name, port in zip((Mode.SERVER, Mode.CLIENT), ("adsl1", "adsl2"), ports, strict=True):
        link = LinkConfig(name, bindhost="127.0.0.1", bindport=port)
        assert given.take(sockets, link, mode) == (f"127.0.0.1 {port}", True)
        assert given.take(sockets, link, mode) is None
    sockets.close_rest()
    assert given.said == []


def test_a_client_without_a_port_goes_on_with_the_one_that_it_had(given: Given) -> None:
    port = given.udp("link.adsl1")
    sockets = Sockets(given.service, given.keeper)
    assert given.take(sockets, LinkConfig("adsl1"), Mode.CLIENT) == (f"127.0.0.1 {port}", True)


@pytest.mark.parametrize(
    "link",
    [
        LinkConfig("adsl1", bindhost="127.0.0.2"),
        LinkConfig("adsl1", bindhost="::1"),
        LinkConfig("adsl1", bindhost="127.0.0.1", bindport="1"),
        LinkConfig("adsl1", bindhost="name.test"),
        LinkConfig("adsl1", bindhost="127.0.0.1", binddevice="lo"),
    ],
    ids=["address", "family", "port", "name", "device"],
)
def test_a_socket_that_does_not_fit_is_closed_and_given_up(given: Given, link: LinkConfig) -> None:
    port = given.udp("link.adsl1")
    sockets = Sockets(given.service, given.keeper)
    assert given.take(sockets, link) is None
    assert given.said == ["FDSTOREREMOVE=1\nFDNAME=link.adsl1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
        another.bind(("127.0.0.1", int(port)))


@pytest.mark.netns
def test_a_socket_that_is_bound_to_a_device(given: Given) -> None:
    ports = [given.udp("link.adsl1", device="lo"), given.udp("link.adsl2", device="lo")]
    sockets = Sockets(given.service, given.keeper)
    assert given.take(sockets, LinkConfig("adsl1", bindport=ports[0], binddevice="lo")) is not None
    assert given.take(sockets, LinkConfig("adsl2", bindport=ports[1])) is None


def test_a_device_is_compared_by_its_number(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    number = socket.if_nametoindex("lo")
    monkeypatch.setattr(inherited_sockets, "index_of", {"lo": number, "other-name": number, "eth0": number + 1}.get)
    for device, fits in (("lo", True), ("other-name", True), ("eth0", False)):
        port = given.udp("link.adsl1", device="lo")
        sockets = Sockets(given.service, given.keeper)
        assert (given.take(sockets, LinkConfig("adsl1", bindport=port, binddevice=device)) is not None) is fits


def test_a_server_takes_the_socket_units_sockets_by_their_addresses(given: Given) -> None:
    first, second, wild = given.udp("link"), given.udp("link", "::1"), given.udp("link", "0.0.0.0")
    sockets = Sockets(given.service, given.keeper)
    taken = [
        given.take(sockets, LinkConfig("c", bindport=wild)),
        given.take(sockets, LinkConfig("b", bindhost="0:0::1", bindport=second)),
        given.take(sockets, LinkConfig("a", bindhost="127.0.0.1", bindport=first)),
    ]
    assert taken == [(f"0.0.0.0 {wild}", False), (f"::1 {second}", False), (f"127.0.0.1 {first}", False)]
    sockets.close_rest()
    assert given.said == []


def test_what_the_process_before_had_goes_before_the_socket_unit(given: Given) -> None:
    given.udp("link")
    port = given.udp("link.adsl1")
    sockets = Sockets(given.service, given.keeper)
    assert given.take(sockets, LinkConfig("adsl1", bindhost="127.0.0.1")) == (f"127.0.0.1 {port}", True)
    sockets.close_rest()


def test_a_client_takes_nothing_of_a_socket_unit(given: Given) -> None:
    port = given.udp("link")
    sockets = Sockets(given.service, given.keeper)
    assert given.take(sockets, LinkConfig("adsl1", bindhost="127.0.0.1", bindport=port), Mode.CLIENT) is None
    sockets.close_rest()


def test_what_nobody_wants_is_closed_and_told(
    given: Given, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    ports = [given.udp("link"), given.udp("link.removed")]
    sockets = Sockets(given.service, given.keeper)
    sockets.close_rest()
    assert caplog.messages == [f"no link is bound to 127.0.0.1:{ports[0]}, which systemd listens on"]
    assert given.said == ["FDSTOREREMOVE=1\nFDNAME=link.removed"]
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
            another.bind(("127.0.0.1", int(port)))


def test_a_link_gives_up_what_it_cannot_use(given: Given) -> None:
    sockets = Sockets(given.service, given.keeper)
    sockets.give_up(LinkConfig("adsl1"))
    sockets.give_up(LinkConfig("no:name"))
    assert given.said == ["FDSTOREREMOVE=1\nFDNAME=link.adsl1"]


def test_what_is_no_udp_socket_is_closed(given: Given) -> None:
    read, write = os.pipe()
    stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM).detach()
    local = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()
    given.service.descriptors = {"link": [read, stream], "link.adsl1": [write, local]}
    sockets = Sockets(given.service, given.keeper)
    for descriptor in (read, write, stream, local):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    assert given.take(sockets, LinkConfig("adsl1")) is None
