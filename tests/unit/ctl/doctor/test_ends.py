from __future__ import annotations

import socket
import threading
import time
from ipaddress import ip_address

import pytest

from mlvpnd.ctl.doctor.ends import Resolver, check_ends, ends_of, is_ipv6

from .facts import CLIENT, config_of


def test_numbers() -> None:
    first, second = ends_of(config_of(), Resolver(), 3)
    assert (str(first.local), first.local_port, str(first.remote), first.remote_port) == (
        "192.0.2.2",
        0,
        "198.51.100.1",
        5080,
    )
    assert second.problems == ()


def test_a_bindhost_that_is_an_interface_is_a_device() -> None:
    found = ends_of(config_of(CLIENT.replace("bindhost = 192.0.2.2", "bindhost = lo")), Resolver(), 3)[0]
    assert (found.local, found.link.bindhost, found.link.binddevice) == (None, "", "lo")
    assert found.problems == ()


def test_names_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        if host.startswith("192.") or host.startswith("203."):
            return [(0, 0, 0, "", (host, 0))]
        return [(0, 0, 0, "", ("2001:db8::1%eth0", 0, 0, 2)), (0, 0, 0, "", ("198.51.100.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    text = CLIENT.replace("remotehost = 198.51.100.1", "remotehost = peer.example")
    found = ends_of(config_of(text), Resolver(), 3)
    assert [str(one.remote) for one in found] == ["198.51.100.7"] * 2  # the family of bindhost
    assert sorted(asked) == ["192.0.2.2", "203.0.113.2", "peer.example"]
    unbound = ends_of(config_of(text.replace("bindhost = 192.0.2.2\n", "")), Resolver(), 3)[0]
    assert unbound.remote == ip_address("2001:db8::1")


def test_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    first, second = ends_of(config_of(), Resolver(), 3)
    assert first.remote is None
    assert len(first.problems) == 2
    assert second.problems[1] == "198.51.100.1 cannot be looked up: Temporary failure in name resolution"
    found = [(one.link, one.text) for one in check_ends([first, second])]
    assert found[1] == ("", "adsl1 and adsl2: 198.51.100.1 cannot be looked up: Temporary failure in name resolution")
    assert [link for link, _ in found] == ["adsl1", "", "adsl2"]


def test_a_look_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        if host == "peer.example":
            ended.wait(30)
            return []
        return [(0, 0, 0, "", (host, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    config = config_of(CLIENT.replace("remotehost = 198.51.100.1", "remotehost = peer.example"))
    resolver, began = Resolver(), time.monotonic()
    try:
        (one, _) = ends_of(config, resolver, 0.3)
        (again, _) = ends_of(config, resolver, 30)
    finally:
        ended.set()
    assert time.monotonic() - began < 5
    assert one.problems == again.problems == ("peer.example cannot be looked up: not finished within 1 s",)
    assert str(one.local) == "192.0.2.2"  # looked up at the same time


def test_families_and_services() -> None:
    text = CLIENT.replace("bindhost = 192.0.2.2", "bindhost = 2001:db8::2").replace("5080", "mlvpnd-no-service")
    first = ends_of(config_of(text), Resolver(), 3)[0]
    assert first.remote is None
    assert "no address family in common" in first.problems[0]
    assert "no service mlvpnd-no-service" in first.problems[1]
    anywhere = ends_of(config_of(CLIENT.replace("192.0.2.2", "0.0.0.0")), Resolver(), 3)[0]
    assert anywhere.local is None


def test_versions() -> None:
    assert [is_ipv6(address) for address in (None, ip_address("::1"), ip_address("127.0.0.1"))] == [False, True, False]
