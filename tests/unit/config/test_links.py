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
        ("bindhost = 2001:db8::1", "bindhost", "2001:db8::1"),
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
    text = SERVER + "bandwidth_upload = 100\n[b]\nbindport = 2\n[c]\nbindport = 3\nbandwidth_upload = 0\n"
    assert warnings_of(text) == [
        "f:8: bandwidth_upload: you must set the bandwidth on every tunnel: [b] has none",
        "f:10: bandwidth_upload: you must set the bandwidth on every tunnel: [c] has none",
    ]
    assert good(text, strict=True).config.links[0].bandwidth_upload == 100


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
