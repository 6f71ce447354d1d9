"""Addresses and routes against a fake kernel; tests/netns/test_byhand.py has the real one."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import pytest
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # ships no types

from mlvpnd.config.model import Config, Mode
from mlvpnd.helper import network
from mlvpnd.helper.network import NetworkError

INDEX = 7
CONFIG = Config(
    mode=Mode.CLIENT,
    password=b"x",
    configure_interface=True,
    ip4="10.0.0.2/30",
    ip6="fd00::2/64",
    ip4_gateway="10.0.0.1",
    ip4_routes="10.1.0.0/16 default",
    ip6_routes="fd01::/64",
)
ALL = {
    "up",
    "10.0.0.2/30",
    "fd00::2/64",
    "10.1.0.0/16 via 10.0.0.1",
    "0.0.0.0/0 via 10.0.0.1",
    "fd01::/64",
}


class Message(dict[str, Any]):
    def get_attr(self, name: str) -> Any:
        return self.get(name)

    def get_nested(self, *names: str) -> Any:
        return self.get(names[-1])


class FakeKernel:
    """The part of pyroute2.IPRoute that is used, and the interface as a set of words."""

    def __init__(self) -> None:
        self.state: set[str] = set()
        self.alias = ""
        self.aliases = 0
        """How often the alias was written."""
        self.protocol: dict[str, int] = {}
        self.kind = "tun"
        self.gso: int | None = None
        self.mtu = 1428
        self.refuse: dict[str, int] = {}
        self.calls: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def get_links(self, index: int) -> list[Message]:
        assert index == INDEX
        sizes = {"IFLA_GSO_MAX_SIZE": self.gso, "IFLA_MTU": self.mtu}
        flags = 1 if "up" in self.state else 0
        return [Message(flags=flags, IFLA_INFO_KIND=self.kind, IFLA_IFALIAS=self.alias, **sizes)]

    def get_addr(self, *, index: int) -> Iterator[Message]:
        for word in self.state:
            if word != "up" and word not in self.routes():
                address, prefix = word.split("/")
                yield Message(IFA_ADDRESS=address, prefixlen=int(prefix))

    def routes(self) -> set[str]:
        return {word for word in self.state if " via " in word or word.split("/")[0].endswith(("::", ".0"))}

    def get_routes(self, *, family: int, oif: int) -> Iterator[Message]:
        for word in self.routes():
            destination, _, gateway = word.partition(" via ")
            if (":" in destination) == (family == 10):
                host, prefix = destination.split("/")
                yield Message(
                    table=254,
                    type=1,
                    proto=self.protocol.get(word, 3),
                    dst_len=int(prefix),
                    RTA_DST=None if prefix == "0" else host,
                    RTA_GATEWAY=gateway or None,
                )

    def _change(self, verb: str, word: str) -> None:
        self.calls.append(f"{verb} {word}")
        if word in self.refuse:
            raise NetlinkError(self.refuse[word], "refused")
        if verb == "add":
            if word in self.state:
                raise NetlinkError(errno.EEXIST, "exists")
            self.state.add(word)
        elif word in self.state:
            self.state.remove(word)
        else:
            raise NetlinkError(errno.ESRCH, "not there")

    def link(
        self, verb: str, *, index: int, state: str = "", IFLA_IFALIAS: str | None = None, gso_max_size: int = 0
    ) -> None:
        if gso_max_size:
            self.calls.append(f"gso {gso_max_size}")
            self.gso = gso_max_size
        if IFLA_IFALIAS is not None:
            self.alias = IFLA_IFALIAS
            self.aliases += 1
        if state:
            self._change("add" if state == "up" else "del", "up")

    def addr(self, verb: str, *, index: int, address: str, prefixlen: int) -> None:
        self._change(verb, f"{address}/{prefixlen}")

    def route(self, verb: str, *, dst: str, oif: int, proto: int, gateway: str = "", **_more: object) -> None:
        word = dst + (f" via {gateway}" if gateway else "")
        self._change(verb, word)
        self.protocol[word] = proto


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    fake = FakeKernel()
    monkeypatch.setattr(network, "connect", lambda: fake)
    monkeypatch.setattr(socket, "if_nametoindex", lambda _name: INDEX)
    return fake


def test_all_is_set_and_all_is_undone(kernel: FakeKernel) -> None:
    network.apply("mlvpn0", CONFIG)
    assert kernel.state == ALL
    assert kernel.calls[0] == "add up"
    network.withdraw("mlvpn0")
    assert kernel.state == set()
    assert kernel.calls[-1] == "del up"


def test_a_second_time_changes_nothing(kernel: FakeKernel) -> None:
    network.apply("mlvpn0", CONFIG)
    kernel.calls.clear()
    network.apply("mlvpn0", CONFIG)
    assert kernel.calls == []


def test_only_the_difference_is_applied(kernel: FakeKernel) -> None:
    network.apply("mlvpn0", CONFIG)
    kernel.calls.clear()
    network.apply("mlvpn0", replace(CONFIG, ip6="", ip4_routes="10.1.0.0/16 10.2.0.0/16"))
    assert kernel.calls == ["del 0.0.0.0/0 via 10.0.0.1", "del fd00::2/64", "add 10.2.0.0/16 via 10.0.0.1"]


def test_a_new_gateway_replaces_the_routes(kernel: FakeKernel) -> None:
    network.apply("mlvpn0", replace(CONFIG, ip4_routes="10.1.0.0/16"))
    network.apply("mlvpn0", replace(CONFIG, ip4_routes="10.1.0.0/16", ip4_gateway=""))
    assert "10.1.0.0/16" in kernel.state
    assert "10.1.0.0/16 via 10.0.0.1" not in kernel.state


def test_what_was_lost_is_set_again(kernel: FakeKernel) -> None:
    network.apply("mlvpn0", CONFIG)
    kernel.state.clear()
    network.apply("mlvpn0", CONFIG)
    assert kernel.state == ALL


def test_what_was_there_before_stays(kernel: FakeKernel) -> None:
    kernel.state |= {"up", "10.0.0.2/30", "192.168.1.1/24", "fd01::/64"}
    network.apply("mlvpn0", CONFIG)
    network.withdraw("mlvpn0")
    assert kernel.state == {"up", "10.0.0.2/30", "192.168.1.1/24", "fd01::/64"}


def test_errors_name_what_was_refused_and_the_rest_is_set(kernel: FakeKernel) -> None:
    kernel.refuse = {"10.1.0.0/16 via 10.0.0.1": errno.ENETUNREACH, "0.0.0.0/0 via 10.0.0.1": errno.EEXIST}
    with pytest.raises(NetworkError) as refused:
        network.apply("mlvpn0", replace(CONFIG, ip6="fd00::2/200"))
    text = str(refused.value)
    assert "mlvpn0: " in text
    assert "ip6: " in text
    assert "route 10.1.0.0/16 via 10.0.0.1: Network is unreachable" in text
    assert "route 0.0.0.0/0 via 10.0.0.1: another one exists already" in text
    assert kernel.state == {"up", "10.0.0.2/30", "fd01::/64"}
    kernel.refuse = {}
    network.withdraw("mlvpn0")
    assert kernel.state == set()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"ip4": "10.0.0.300"}, "ip4: "),
        ({"ip4": "fd00::1/64"}, "ip4: "),
        ({"ip4_routes": "10.1.0.1/16"}, "ip4_routes: 10.1.0.1/16: "),
        ({"ip4_gateway": "gw"}, "ip4_routes: 10.1.0.0/16: "),
        ({"ip6_routes": "10.1.0.0/16"}, "ip6_routes: 10.1.0.0/16: "),
    ],
)
def test_texts_that_are_no_addresses(kernel: FakeKernel, change: dict[str, str], key: str) -> None:
    with pytest.raises(NetworkError, match=key):
        network.apply("mlvpn0", replace(CONFIG, **change))  # type: ignore[arg-type]  # fields of text


def test_only_a_tun_interface_is_touched(kernel: FakeKernel) -> None:
    kernel.kind = "veth"
    with pytest.raises(NetworkError, match="mlvpn0: not a tun or tap interface"):
        network.apply("mlvpn0", CONFIG)
    assert kernel.calls == []


def test_what_was_set_is_known_from_the_interface_alone(kernel: FakeKernel) -> None:
    network.apply("mlvpn0", CONFIG)
    assert kernel.alias == "mlvpnd has set: up 10.0.0.2/30 fd00::2/64"
    assert set(kernel.protocol.values()) == {network.ROUTE_PROTOCOL}
    network.withdraw("mlvpn0")
    assert kernel.alias == ""


def test_what_could_not_be_set_is_not_remembered(kernel: FakeKernel) -> None:
    kernel.refuse = {"fd00::2/64": errno.EACCES}
    with pytest.raises(NetworkError):
        network.apply("mlvpn0", CONFIG)
    assert kernel.alias == "mlvpnd has set: up 10.0.0.2/30"


def test_what_is_about_to_be_set_is_remembered_before(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that is killed in the middle leaves nothing behind that the next one does not know."""

    def killed(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kernel, "route", killed)
    with pytest.raises(KeyboardInterrupt):
        network.apply("mlvpn0", CONFIG)
    monkeypatch.undo()
    monkeypatch.setattr(network, "connect", lambda: kernel)
    monkeypatch.setattr(socket, "if_nametoindex", lambda _name: INDEX)
    network.withdraw("mlvpn0")
    assert kernel.state == set()


def test_the_limit_of_what_we_are_left_to_cut_follows_the_mtu(kernel: FakeKernel) -> None:
    kernel.gso = 65536
    network.apply("mlvpn0", CONFIG)
    assert kernel.gso == 44 * (1428 - 72) + 72
    assert kernel.alias.endswith(" gso:59736")
    kernel.calls.clear()
    network.apply("mlvpn0", CONFIG)
    assert kernel.calls == []
    kernel.mtu = 1300
    assert network.apply("mlvpn0", CONFIG) == []  # nobody has taken it
    assert kernel.gso == 48 * (1300 - 72) + 72
    network.withdraw("mlvpn0")
    assert (kernel.gso, kernel.alias) == (65536, "")


@pytest.mark.parametrize("mtu", [68, 576, 1169, 1192, 1266, 1280, 1380, 1428, 9000, 65000])
def test_the_segments_of_the_largest_packet_fit_one_send(mtu: int) -> None:
    size = network.gso_limit(mtu)
    assert size >= mtu
    for headers in (40, 52, 72):  # IPv4 and TCP, with timestamps, IPv6 with timestamps
        if size > mtu > 2 * headers:
            segments = -(-(size - headers) // (mtu - headers))
            assert segments <= 64
            assert segments * (mtu + 28 + 16) <= 65473


@pytest.mark.parametrize("alias", ["the office's line", "mlvpnd has set: nonsense 10.0.0.2/99", "mlvpnd has set:"])
def test_an_alias_that_somebody_else_has_written(kernel: FakeKernel, alias: str) -> None:
    kernel.state |= {"up", "10.0.0.2/30"}
    kernel.alias = alias
    network.withdraw("mlvpn0")
    assert kernel.state == {"up", "10.0.0.2/30"}
    assert kernel.alias == alias


def test_an_interface_without_our_alias_costs_no_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "connect", lambda: pytest.fail("asked"))
    if not network._is_surely_untouched("lo"):
        pytest.skip("/sys is that of another network namespace")
    network.withdraw("lo")


@pytest.mark.parametrize("call", ["get_links", "link", "get_addr", "get_routes", "route"])
def test_an_interface_that_is_deleted_meanwhile(kernel: FakeKernel, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_arguments: object, **_more: object) -> None:
        raise NetlinkError(errno.ENODEV)

    monkeypatch.setattr(kernel, call, gone)
    with pytest.raises(NetworkError, match="mlvpn0: .*No such device"):
        network.apply("mlvpn0", CONFIG)


def test_an_unknown_interface() -> None:
    with pytest.raises(NetworkError, match="mlvnix9: no such interface"):
        network.apply("mlvnix9", CONFIG)


def test_default_routes_go_out_and_in_alone(kernel: FakeKernel) -> None:
    halves = replace(
        CONFIG, ip4_routes="10.1.0.0/16 0.0.0.0/1 128.0.0.0/1", ip4_gateway="", ip6_routes="fd01::/64 ::/0"
    )
    network.apply("mlvpn0", halves)
    kernel.calls.clear()
    network.apply("mlvpn0", halves, default_routes=False)
    assert sorted(kernel.calls) == ["del 0.0.0.0/1", "del 128.0.0.0/1", "del ::/0"]
    assert {"10.1.0.0/16", "fd01::/64"} <= kernel.state
    assert network.apply("mlvpn0", halves) == ["route 0.0.0.0/1", "route 128.0.0.0/1", "route ::/0"]


def test_what_was_missing_is_told(kernel: FakeKernel) -> None:
    assert network.apply("mlvpn0", replace(CONFIG, ip6="", ip6_routes="", ip4_routes="")) == [
        "link up",
        "address 10.0.0.2/30",
    ]
    kernel.state.discard("up")
    assert network.apply("mlvpn0", replace(CONFIG, ip6="", ip6_routes="", ip4_routes="")) == ["link up"]


def test_what_is_put_back_again_and_again_makes_the_note_no_longer(kernel: FakeKernel) -> None:
    network.apply("mlvpn0", CONFIG)
    noted, written = kernel.alias, kernel.aliases
    for _ in range(3):
        kernel.state.clear()
        network.apply("mlvpn0", CONFIG)
    assert kernel.alias == noted
    assert kernel.aliases == written  # a note that is true already is no news for anybody


def test_what_was_set_beside_an_error_is_told(kernel: FakeKernel) -> None:
    kernel.refuse = {"fd00::2/64": errno.EACCES}
    with pytest.raises(NetworkError) as refused:
        network.apply("mlvpn0", replace(CONFIG, ip4_routes="", ip6_routes=""))
    assert refused.value.done == ["link up", "address 10.0.0.2/30"]
