from __future__ import annotations

import pytest

from mlvpnd.config import Config, DeviceKind, LinkConfig, Mode


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


def test_place_in_the_file_is_no_difference() -> None:
    assert LinkConfig("a", line=1) == LinkConfig("a", line=2)
