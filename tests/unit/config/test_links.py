from __future__ import annotations

import pytest

from mlvpnd.config.links import PORT_ADVICE
from tests.support.configs import CLIENT, SERVER, errors_of, good, warnings_of


def test_server_needs_a_port() -> None:
    assert errors_of(SERVER.replace("bindport = 5080", "bindhost = 10.0.0.1")) == [
        "f:5: bindport: [adsl1] bind port is mandatory in server mode. allowed: a port 1..65535 or a service name"
    ]


def test_client_needs_somebody_to_call() -> None:
    assert errors_of(CLIENT.replace('remotehost = "203.0.113.1"\nremoteport = 5080', "bindhost = 10.0.0.1")) == [
        "f:5: remotehost: [adsl1] No remote address specified. allowed: a host name or address",
        "f:5: remoteport: [adsl1] No remote port specified. allowed: a port 1..65535 or a service name",
    ]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("bindhost = ::ffff:192.0.2.7", "bindhost", "::ffff:192.0.2.7"),
        ("binddevice = wwan0", "binddevice", "wwan0"),
        ("bindfib = 3", "bindfib", 3),
        ("bandwidth_upload = 4294967295", "bandwidth_upload", 4294967295),
        ("timeout = 2", "timeout", 2),
        ("loss_tolerence = 0", "loss_tolerance", 0),
        ("loss_tolerance = 5", "loss_tolerance", 5),
        ("latency_tolerance = 5", "latency_tolerance", 5),
        ("fallback_only = 1", "fallback_only", True),
        ("fallback_only = 2", "fallback_only", True),
        ("fallback_only = 0", "fallback_only", False),
        ("priority = 0", "priority", 0),
        ("priority = 255", "priority", 255),
    ],
)
def test_values(line: str, field: str, value: object) -> None:
    result = good(CLIENT + line + "\n", strict=True)
    assert getattr(result.config.links[0], field) == value
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("line", "field", "value", "warning"),
    [
        ("timeout = 0", "timeout", 2, "timeout capped to 2 seconds"),
        ("loss_tolerance = 101", "loss_tolerance", 100, "loss_tolerence is capped to 100 %"),
        ("latency_tolerance = 1001", "latency_tolerance", 1000, "latency_tolerence is capped to 1000 %"),
    ],
)
def test_capped_values(line: str, field: str, value: int, warning: str) -> None:
    assert getattr(good(CLIENT + line).config.links[0], field) == value
    assert warnings_of(CLIENT + line) == [f"f:8: {line.split()[0]}: {warning}"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("bindport = 65536", "f:8: bindport: '65536' is outside 1..65535"),
        ("binddevice = averylonginterface", "f:8: binddevice: 'averylonginterface' is too long"),
        ("priority = 256", "f:8: priority: '256' is not a valid priority"),
        ("priority = -1", "f:8: priority: '-1' is not a valid priority"),
        ("priority = 1x", "f:8: priority: '1x' is not a valid priority"),
        ("priority = high", "f:8: priority: 'high' is not a valid priority"),
        ('binddevice = "a b"', "f:8: binddevice: 'a b' is not an interface name"),
        ("bindhost = " + "h" * 256, "f:8: bindhost: the value is too long: 256 characters, at most 255"),
    ],
)
def test_errors(line: str, error: str) -> None:
    errors = errors_of(CLIENT + line)
    assert len(errors) == 1
    assert errors[0].startswith(error)
    assert "; allowed: " in errors[0]


def test_link_that_would_talk_to_itself() -> None:
    own = 'bindhost = "203.0.113.1"\nbindport = '
    assert errors_of(CLIENT + own + "5080") == [
        "f:6: remotehost: [adsl1] would talk to itself: remote and bind address are the same;"
        " allowed: a host name or address"
    ]
    assert errors_of(CLIENT + own + "5081") == []
    assert errors_of(CLIENT + "bindport = 5080") == []


def second_server_link(lines: str) -> list[str]:
    return errors_of(SERVER + "binddevice = eth0\nbindhost = 10.0.0.1\n[second]\n" + lines)


def test_links_of_a_server_cannot_share_an_address() -> None:
    place = "f:9: bindport: [second] has the same bind address and port as [adsl1] in line 5"
    clash = f"{place}; allowed: another address or port for each link"
    assert second_server_link("bindport = 5080\nbindhost = 10.0.0.1\n") == [clash]
    assert second_server_link("bindport = 05080\nbindhost = 10.0.0.1\nbinddevice = eth0\n") == [clash]
    assert second_server_link("bindport = 5080\nbindhost = 10.0.0.1\nbinddevice = eth1\n") == []
    assert second_server_link("bindport = 5081\nbindhost = 10.0.0.1\n") == []
    assert second_server_link("bindport = 5080\nbindhost = 10.0.0.2\n") == []


def test_any_address_is_the_same_for_both() -> None:
    assert len(errors_of(SERVER + "[second]\nbindport = 5080\nbindhost = 0.0.0.0\n")) == 1
    assert len(errors_of(SERVER + "[second]\nbindport = 5080\nbinddevice = eth1\n")) == 1


def many(count: int) -> str:
    return "".join(f"[l{n}]\nbindport = {n}\n" for n in range(1, count))


def test_number_of_links() -> None:
    assert len(good(SERVER + many(128)).config.links) == 128
    assert errors_of(SERVER + many(129)) == ["f:261: You have too many tunnels declared: 129 links, at most 128"]


def test_a_file_without_links_is_hardly_meant() -> None:
    text = SERVER[: SERVER.index("[adsl1]")]
    assert warnings_of(text) == ["f: there is no link: the tunnel carries nothing"]
    assert good(text, strict=True).config.links == ()


def test_a_port_of_its_own_is_no_good_for_a_client() -> None:
    advice = f"[adsl1] a client should leave bindport out: {PORT_ADVICE}"
    assert warnings_of(CLIENT + "bindport = 5080\n") == [f"f:8: bindport: {advice}"]
    assert warnings_of(CLIENT) == warnings_of(SERVER) == []
    assert good(CLIENT + "bindport = 5080\n", strict=True).config.links[0].bindport == "5080"


def test_bandwidth_on_some_links_only() -> None:
    text = SERVER + "bandwidth_upload = 100000\n[b]\nbindport = 2\n[c]\nbindport = 3\nbandwidth_upload = 0\n"
    assert warnings_of(text) == [
        "f:8: bandwidth_upload: you must set the bandwidth on every tunnel: [b] has none",
        "f:10: bandwidth_upload: you must set the bandwidth on every tunnel: [c] has none",
    ]
    assert good(text, strict=True).config.links[0].bandwidth_upload == 100000


@pytest.mark.parametrize("name", ["a", "a b", "x" * 28, "é", "general2", "-", "a=b"])
def test_names(name: str) -> None:
    text = SERVER.encode().replace(b"adsl1", name.encode()).decode("latin-1")
    result = good(text, strict=True)
    assert result.config.links[0].name == name
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "the link's name [] is empty; allowed: printable text"),
        ("a\tb", "the link's name [a\\x09b] has control characters or is not UTF-8; allowed: printable text"),
        ("\x1b[31m", "the link's name [\\x1b[31m] has control characters or is not UTF-8; allowed: printable text"),
        ("\xff", "the link's name [\\udcff] has control characters or is not UTF-8; allowed: printable text"),
    ],
)
def test_names_that_could_disturb(name: str, error: str) -> None:
    assert errors_of(SERVER.replace("adsl1", name)) == [f"f:5: {error}"]


def test_names_that_are_hardly_meant() -> None:
    assert warnings_of(SERVER.replace("adsl1", "x" * 29)) == [
        f"f:5: the link's name [{'x' * 29}] is long: process titles show 28 characters of it"
    ]
    assert len(good(SERVER.replace("adsl1", "adsl1 "), strict=True).warnings) == 1
    assert warnings_of(SERVER.replace("adsl1", " adsl1")) == [
        "f:5: the spaces around the link's name [ adsl1] are a part of it"
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("remotehost = [2001:db8::1]", "remotehost: '[2001:db8::1]' has brackets: write the address without them"),
        (
            "remotehost = vpn.example.org:5080",
            "remotehost: 'vpn.example.org:5080' has a port: write the port into remoteport",
        ),
        ("bindhost = 192.0.2.7:5080", "bindhost: '192.0.2.7:5080' has a port: write the port into bindport"),
        (
            "bindhost = 192.0.2.7\nremotehost = 2001:db8::1",
            "bindhost: '192.0.2.7' is an IPv4 address, and remotehost is an IPv6 address: no packet can leave",
        ),
        (
            "bindhost = 2001:db8::7\nremotehost = 192.0.2.1",
            "bindhost: '2001:db8::7' is an IPv6 address, and remotehost is an IPv4 address: no packet can leave",
        ),
    ],
)
def test_what_cannot_be_an_address_is_told(line: str, said: str) -> None:
    """A start goes on: other links may be good. check-config refuses it."""
    text = CLIENT.replace('remotehost = "203.0.113.1"\n', "") + line + "\n"
    text += "" if "remotehost" in line else "remotehost = 192.0.2.1\n"
    assert [one.partition(": ")[2] for one in warnings_of(text)] == [said]
    assert errors_of(text, strict=True)


@pytest.mark.parametrize(
    "line", ["remotehost = 2001:db8::1", "remotehost = ::1", "remotehost = fe80::1%eth0", "remotehost = a.b"]
)
def test_what_can_be_an_address_is_not(line: str) -> None:
    assert warnings_of(CLIENT.replace('remotehost = "203.0.113.1"', line)) == []


def test_two_links_that_call_one_port_take_turns() -> None:
    text = CLIENT + '[lte]\nremotehost = "203.0.113.1"\nremoteport = 05080\n'
    (said,) = warnings_of(text)
    assert said.startswith("f:8: remoteport: [lte] calls the same address and port as [adsl1] in line 5:")
    assert warnings_of(text.replace("05080", "5081")) == []
    assert good(text, strict=True)


@pytest.mark.parametrize(
    ("number", "warned"), [("20", True), ("7999", True), ("8000", False), ("0", False), ("64kbit", False)]
)
def test_a_ratio_for_a_rate_is_told(number: str, warned: bool) -> None:
    found = warnings_of(f"{CLIENT}bandwidth_upload = {number}\n")
    assert bool(found) is warned
    assert all(one.startswith("f:8: bandwidth_upload: ") and f"{number}Mbit" in one for one in found)


@pytest.mark.parametrize(("text", "rate"), [("20Mbit", 2_500_000), ("2.5 MB/s", 2_500_000), ("1G", 1_000_000_000)])
def test_a_bandwidth_may_have_a_unit(text: str, rate: int) -> None:
    assert good(f"{CLIENT}bandwidth_upload = {text}\n", strict=True).config.links[0].bandwidth_upload == rate


def test_a_bandwidth_in_bps_is_bytes_and_said_to_be() -> None:
    (said,) = warnings_of(f"{CLIENT}bandwidth_upload = 20Mbps\n")
    assert "160000000 bits" in said


def test_a_bandwidth_beyond_the_limit_is_capped() -> None:
    assert warnings_of(f"{CLIENT}bandwidth_upload = 100Gbit\n") == [
        "f:8: bandwidth_upload: bandwidth_upload capped to 4294967295"
    ]


def test_an_unknown_unit_is_read_as_ever() -> None:
    """As C MLVPN reads it: the digits count."""
    assert any("'Mb' after the number is ignored" in one for one in warnings_of(f"{CLIENT}bandwidth_upload = 20Mb\n"))
