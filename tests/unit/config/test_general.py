from __future__ import annotations

import pytest

from mlvpnd.config import DataPlane, DeviceKind, Mode, Pacing, Peer
from tests.support.configs import CLIENT, SERVER, errors_of, good, warnings_of


def with_general(lines: str) -> str:
    return CLIENT.replace("[adsl1]", f"{lines}\n[adsl1]")


def test_mode_other_than_server_is_client() -> None:
    text = CLIENT.replace('mode = "client"', "mode = Server")
    assert good(text).config.mode is Mode.CLIENT
    assert warnings_of(text) == ["f:2: mode: 'Server' is taken as client; allowed: server or client"]
    assert errors_of(text, strict=True) == warnings_of(text)


@pytest.mark.parametrize(("written", "kind"), [("tun", DeviceKind.TUN), ("tap", DeviceKind.TAP), ("x", DeviceKind.TAP)])
def test_tuntap(written: str, kind: DeviceKind) -> None:
    assert good(with_general(f"tuntap = {written}")).config.tuntap is kind


def test_odd_tuntap_is_warned_of() -> None:
    assert warnings_of(with_general("tuntap = TUN")) == ["f:5: tuntap: 'TUN' is taken as tap; allowed: tun or tap"]


@pytest.mark.parametrize(
    ("line", "field", "value", "warning"),
    [
        ("timeout = 30s", "timeout", 30, "timeout: 's' after the number is ignored: read as 30; allowed: seconds"),
        ("timeout = 1", "timeout", 2, "timeout: timeout capped to 2 seconds"),
        ("timeout = -1", "timeout", 2**32 - 1, "timeout: negative numbers wrap around: read as 4294967295"),
        ("loss_tolerence = 101", "loss_tolerance", 100, "loss_tolerence: loss_tolerence is capped to 100 %"),
        ("loss_tolerance = 101", "loss_tolerance", 100, "loss_tolerance: loss_tolerence is capped to 100 %"),
        (
            "latency_tolerence = 1001",
            "latency_tolerance",
            1000,
            "latency_tolerence: latency_tolerence is capped to 1000 %",
        ),
        ("cleartext_data = yes", "cleartext_data", False, "cleartext_data: 'yes' is not a number and is read as 0"),
        ("cleartext_data = -1", "cleartext_data", True, "cleartext_data: negative numbers wrap around"),
        (
            "reorder_buffer_size = 70000",
            "reorder_buffer_size",
            65536,
            "reorder_buffer_size: reorder_buffer_size capped to",
        ),
        ("mtu = 1400 # x", "mtu", 1400, None),
        ("mtu = 576", "mtu", 576, None),
        ("mtu = 9000", "mtu", 9000, None),
        ("mtu = 0", "mtu", None, None),
        ("mtu = 67", "mtu", 68, "mtu: mtu capped to 68"),
        ("mtu = 9600", "mtu", 9000, "mtu: mtu capped to 9000"),
        ("control_unix_path = mlvpn.sock", "control_unix_path", "/run/mlvpn/mlvpn.sock", None),
        ("control_unix_path = /mlvpn.sock", "control_unix_path", "/run/mlvpn/mlvpn.sock", None),
        ("control_unix_path = /run/m/x", "control_unix_path", "/run/m/x", None),
        ("mtu = none", "mtu", None, "mtu: 'none' is not a number and is read as 0"),
        ("statuscommand = up.sh", "statuscommand", "", "statuscommand: 'up.sh' is not absolute: it will not be run"),
        ('statuscommand = "/a b"', "statuscommand", "/a b", None),
        ("statuscommand = /a b", "statuscommand", "/ab", None),
        ("ip4_routes = 10.0.0.0/8   10.1.0.0/16", "ip4_routes", "10.0.0.0/8   10.1.0.0/16", None),
        ("ip6_routes fd00::/8 fd01::/16", "ip6_routes", "fd00::/8 fd01::/16", None),
        ("ip4 = 10.0.0.1 / 24", "ip4", "10.0.0.1/24", None),
        ("interface_name = mlvpn%d", "interface_name", "mlvpn%d", None),
        ("configure_interface = 1", "configure_interface", True, None),
        ("kill_switch = 0", "kill_switch", False, None),
        ("reorder_buffer_size 64", "reorder_buffer_size", 64, None),
        ("pacing = auto", "pacing", Pacing.AUTO, None),
        ("pacing = off", "pacing", Pacing.OFF, None),
        ('peer = "mlvpnd"', "peer", Peer.MLVPND, None),
        ("peer = any", "peer", Peer.ANY, None),
        ("data_plane = native", "data_plane", DataPlane.NATIVE, None),
        ('data_plane = "reference"', "data_plane", DataPlane.REFERENCE, None),
        ("mss_clamp = auto", "mss_clamp", None, None),
        ("mss_clamp = off", "mss_clamp", 0, None),
        ('mss_clamp = "1360"', "mss_clamp", 1360, None),
        ("mss_clamp = 48", "mss_clamp", 48, None),
        ("mss_clamp = 8960", "mss_clamp", 8960, None),
    ],
)
def test_values(line: str, field: str, value: object, warning: str | None) -> None:
    text = with_general(line)
    assert getattr(good(text).config, field) == value
    warnings = warnings_of(text)
    if warning is None:
        assert warnings == []
    else:
        assert len(warnings) == 1
        assert warnings[0].startswith(f"f:5: {warning}")
        assert errors_of(text, strict=True) == warnings


@pytest.mark.parametrize(
    "line",
    [
        "timeout =",
        "mtu",
        "data_plane =",
        'ip4 = ""',
        "interface_name =",
        "loss_tolerance =",
        "statuscommand",
        "tuntap=",
    ],
)
def test_empty_values_are_as_unset(line: str) -> None:
    assert good(with_general(line), strict=True).config == good(CLIENT).config
    assert warnings_of(with_general(line)) == []


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "interface_name = mlvpn67890123456",
            "interface_name: 'mlvpn67890123456' is too long: 16 characters, at most 15",
        ),
        (
            "interface_name = a/b",
            "interface_name: 'a/b' is not an interface name; allowed: 1..15 characters without '/'",
        ),
        ("control_bind_host = h\ncontrol_bind_port = 0", "control_bind_port: '0' is outside 1..65535; allowed: a port"),
        ("pacing = on", "pacing: 'on' is not known; allowed: auto or off"),
        ("pacing = 0", "pacing: '0' is not known; allowed: auto or off"),
        ("peer = MLVPND", "peer: 'MLVPND' is not known; allowed: any or mlvpnd"),
        ("data_plane = auto", "data_plane: 'auto' is not known; allowed: native or reference"),
        *(
            (f"mss_clamp = {value}", f"mss_clamp: '{value}' is not a limit for segments; allowed: auto, off, or bytes")
            for value in ("0", "47", "8961", "-1", "1360x", "on", "AUTO", "9" * 50)
        ),
        ("ip4 = 10.0.0.1\x1b", "ip4: '10.0.0.1\\x1b' has control characters; allowed: an IPv4 address"),
    ],
)
def test_errors(line: str, error: str) -> None:
    errors = errors_of(with_general(line))
    assert len(errors) == 1
    assert errors[0].split(": ", 1)[1].startswith(error)


def test_small_mtu_with_ip6() -> None:
    assert warnings_of(with_general("mtu = 1279\nip6 = fd00::1/64")) == [
        "f:5: mtu: ip6 will not work with an MTU of 1279: IPv6 needs at least 1280"
    ]
    assert warnings_of(with_general("mtu = 1280\nip6 = fd00::1/64")) == []


def test_half_a_control_address() -> None:
    assert warnings_of(with_general("control_bind_host = ::1")) == [
        "f:5: control_bind_host: has no effect without control_bind_port: set both"
    ]
    assert warnings_of(with_general("control_bind_port = 1")) == [
        "f:5: control_bind_port: has no effect without control_bind_host: set both"
    ]
    assert good(with_general("control_bind_port = 1"), strict=True).warnings


ADDRESSES = """\
ip4 = 10.0.0.1
ip6 = 10.0.0.1/24
ip4_gateway = gw
ip6_gateway = fd00::1/64
ip4_routes = 10.0.0.0/8 default
ip6_routes = fd00::1/64
"""


def test_addresses_are_the_status_commands_business() -> None:
    config = good(with_general(ADDRESSES), strict=True).config
    assert (config.ip4, config.ip4_routes) == ("10.0.0.1", "10.0.0.0/8 default")


def test_addresses_are_checked_when_they_are_ours_to_set() -> None:
    assert errors_of(with_general(ADDRESSES + "configure_interface = 1")) == [
        "f:5: ip4: '10.0.0.1' is not an IPv4 address/prefix; allowed: an IPv4 address with prefix, as 10.0.0.1/24",
        "f:6: ip6: '10.0.0.1/24' is not an IPv6 address/prefix; allowed: an IPv6 address with prefix, as fd00::1/64",
        "f:7: ip4_gateway: 'gw' is not an IPv4 address; allowed: an IPv4 address",
        "f:8: ip6_gateway: 'fd00::1/64' is not an IPv6 address; allowed: an IPv6 address",
        "f:9: ip4_routes: 'default' is not an IPv4 network; allowed: IPv4 networks, as 10.1.0.0/16 10.2.0.0/16",
        "f:10: ip6_routes: 'fd00::1/64' has bits beyond its prefix: the network is fd00::/64;"
        " allowed: IPv6 networks, as fd01::/64 fd02::/64",
    ]


def test_bad_mode_specific_checks_wait_for_a_mode() -> None:
    assert errors_of(SERVER.replace('mode = "server"', "mode =")) == [
        "f:1: mode: Operation mode is mandatory. allowed: server or client"
    ]


def kill_switch_remarks(keys: str) -> list[str]:
    return [str(warning) for warning in good(with_general(f"kill_switch = 1\n{keys}")).warnings]


def test_a_kill_switch_that_has_no_effect_is_told() -> None:
    assert kill_switch_remarks("ip4_routes = 0.0.0.0/0") == [
        "f:5: kill_switch: has no effect without configure_interface = 1"
    ]
    assert kill_switch_remarks("configure_interface = 1\nip4_routes = 10.0.0.0/8 10.1.0.0/16") == [
        "f:5: kill_switch: has no effect without a default route: 0.0.0.0/0 in ip4_routes, or ::/0 in ip6_routes"
    ]
    for routes in ("ip4_routes = 10.0.0.0/8 0.0.0.0/0", "ip4_routes = 0.0.0.0/1 128.0.0.0/1", "ip6_routes = ::/0"):
        assert kill_switch_remarks(f"configure_interface = 1\n{routes}") == []
