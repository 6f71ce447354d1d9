from __future__ import annotations

import pytest

from mlvpnd.config import Config, DeviceKind, LinkConfig, Mode, Pacing, RuleAction, RuleConfig


@pytest.mark.parametrize(
    ("kind", "ipv6_path", "mtu"),
    [
        (DeviceKind.TUN, False, 1428),
        (DeviceKind.TUN, True, 1408),
        (DeviceKind.TAP, False, 1414),
        (DeviceKind.TAP, True, 1394),
    ],
)
def test_unset_mtu_is_what_fits(kind: DeviceKind, ipv6_path: bool, mtu: int) -> None:
    config = Config(Mode.CLIENT, b"x", tuntap=kind)
    assert config.effective_mtu(ipv6_path=ipv6_path) == mtu


def test_mtu_that_is_set_counts() -> None:
    assert Config(Mode.CLIENT, b"x", mtu=9000).effective_mtu(ipv6_path=True) == 9000


def test_link_by_name() -> None:
    links = (LinkConfig("a"), LinkConfig("b"))
    config = Config(Mode.CLIENT, b"x", links=links)
    assert config.link("b") is links[1]
    assert config.link("c") is None


@pytest.mark.parametrize(
    ("rates", "slow"), [((16000, 16000), None), ((16000, 15999), "1"), ((2, 1), "0"), ((2500000, 0), "1"), ((), None)]
)
def test_links_are_paced_when_every_bandwidth_can_be_a_rate(rates: tuple[int, ...], slow: str | None) -> None:
    links = tuple(LinkConfig(str(number), bandwidth_upload=rate) for number, rate in enumerate(rates))
    config = Config(Mode.CLIENT, b"x", links=links)
    assert config.paced is (slow is None)
    assert config.unpaced_link == (None if slow is None else config.link(slow))
    assert not Config(Mode.CLIENT, b"x", links=links, pacing=Pacing.OFF).paced


def test_head_of_a_rule() -> None:
    assert RuleConfig(RuleAction.PREFER, ("a", "my line"), "udp").head == "prefer a my line"
    assert RuleConfig(RuleAction.DROP, (), "udp").head == "drop"


def test_place_in_the_file_is_no_difference() -> None:
    assert RuleConfig(RuleAction.DROP, (), "udp", line=1) == RuleConfig(RuleAction.DROP, (), "udp", line=2)
    assert LinkConfig("a", line=1) == LinkConfig("a", line=2)
