from __future__ import annotations

import pytest

from mlvpnd.config import values

UINT32_MAX = 2**32 - 1


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("30", 30), ("+7", 7), ("007", 7), ("-0", 0), ("\t5", 5)])
def test_plain_numbers(text: str, value: int) -> None:
    assert values.read_number(text) == (value, "")


@pytest.mark.parametrize(
    ("text", "value", "remark"),
    [
        ("30s", 30, "'s' after the number is ignored: read as 30"),
        ("1.5", 1, "'.5' after the number is ignored: read as 1"),
        ("0x10", 0, "'x10' after the number is ignored: read as 0"),
        ("yes", 0, "'yes' is not a number and is read as 0"),
        ("-", 0, "'-' is not a number and is read as 0"),
        ("-1", UINT32_MAX, f"negative numbers wrap around: read as {UINT32_MAX}"),
        (
            "-5s",
            UINT32_MAX - 4,
            f"negative numbers wrap around and 's' after the number is ignored: read as {UINT32_MAX - 4}",
        ),
        ("4294967295", UINT32_MAX, ""),
        ("4294967296", UINT32_MAX, f"the number is too large: read as {UINT32_MAX}"),
        ("9" * 30000, UINT32_MAX, f"the number is too large: read as {UINT32_MAX}"),
        ("-" + "9" * 30000, 2**31, f"negative numbers wrap around: read as {2**31}"),
        ("0" * 30000 + "1", 1, ""),
    ],
)
def test_odd_numbers(text: str, value: int, remark: str) -> None:
    assert values.read_number(text) == (value, remark)


@pytest.mark.parametrize("text", ["1", "5080", "65535", "05080", "openvpn", "3com-tsmux"])
def test_ports(text: str) -> None:
    assert values.port_problem(text) == ""


@pytest.mark.parametrize("text", ["0", "65536", "-1", "+1", "9" * 30000])
def test_port_numbers_out_of_range(text: str) -> None:
    assert "is outside 1..65535" in values.port_problem(text)


@pytest.mark.parametrize("text", ["50:80", "a b", "a\tb", "[80]"])
def test_texts_that_are_no_port(text: str) -> None:
    assert "neither a port number nor a service name" in values.port_problem(text)


def test_hosts() -> None:
    assert values.host_problem("h" * 255) == ""
    assert values.host_problem("2001:db8::1") == ""
    assert "the value is too long: 256 characters, at most 255" in values.host_problem("h" * 256)
    assert "white space" in values.host_problem("a b")
    assert "control" in values.host_problem("a\x1bb")


@pytest.mark.parametrize("text", ["eth0", "e" * 15, "wan.100", "wlp3s0%1"])
def test_device_names(text: str) -> None:
    assert values.device_problem(text, pattern=False) == ""


@pytest.mark.parametrize("text", ["e" * 16, "a/b", "a b", "a\tb", "a:b", ".", "..", "a\x07"])
def test_texts_that_name_no_device(text: str) -> None:
    assert values.device_problem(text, pattern=False)
    assert values.device_problem(text, pattern=True)


def test_device_name_pattern() -> None:
    assert values.device_problem("mlvpn%d", pattern=True) == ""
    for text in ("%d%d", "a%s", "100%"):
        assert "outside the one %d" in values.device_problem(text, pattern=True)


@pytest.mark.parametrize(
    ("text", "version", "prefix"),
    [("10.0.0.1/24", 4, True), ("fd00::1/64", 6, True), ("10.0.0.1", 4, False), ("fe80::1", 6, False)],
)
def test_addresses(text: str, version: int, prefix: bool) -> None:
    assert values.address_problem(text, version, prefix=prefix) == ""
    for other_version, other_prefix in ((10 - version, prefix), (version, not prefix)):
        assert values.address_problem(text, other_version, prefix=other_prefix)


@pytest.mark.parametrize("text", ["10.0.0.1/33", "10.0.0.1/255.0.0.0", "10.0.0/8", "x", "/", "10.0.0.1/", "1/1/1"])
def test_texts_that_are_no_address_with_prefix(text: str) -> None:
    assert values.address_problem(text, 4, prefix=True) == f"'{text}' is not an IPv4 address/prefix"


def test_scoped_addresses_are_refused() -> None:
    assert values.address_problem("fe80::1%eth0", 6, prefix=False)
    assert values.address_problem("fe80::1%eth0/64", 6, prefix=True)
    assert values.routes_problem("fe80::%eth0/64", 6)


def test_routes() -> None:
    assert values.routes_problem("", 4) == ""
    assert values.routes_problem("10.1.0.0/16  10.2.3.4\t0.0.0.0/0", 4) == ""
    assert values.routes_problem("fd01::/64 ::/0 fd02::1", 6) == ""


@pytest.mark.parametrize(
    ("text", "version", "problem"),
    [
        ("10.0.0.0/8 fd00::/8", 4, "'fd00::/8' is not an IPv4 network"),
        ("10.0.0.0/8", 6, "'10.0.0.0/8' is not an IPv6 network"),
        ("default", 4, "'default' is not an IPv4 network"),
        ("10.0.0.0/255.0.0.0", 4, "'10.0.0.0/255.0.0.0' is not an IPv4 network"),
        ("10.0.0.1/8", 4, "'10.0.0.1/8' has bits beyond its prefix: the network is 10.0.0.0/8"),
        ("10.0.0.0/", 4, "'10.0.0.0/' is not an IPv4 network"),
    ],
)
def test_routes_that_are_none(text: str, version: int, problem: str) -> None:
    assert values.routes_problem(text, version) == problem


def test_endpoints_compare_by_meaning() -> None:
    assert values.endpoint("", "5080") == values.endpoint("0.0.0.0", "05080")
    assert values.endpoint("2001:DB8:0::1", "1") == values.endpoint("2001:db8::1", "1")
    assert values.endpoint("Host.example", "x") == values.endpoint("host.example", "x")
    assert values.endpoint("10.0.0.1", "1") != values.endpoint("10.0.0.1", "2")
    assert values.endpoint("10.0.0.1", "1") != values.endpoint("10.0.0.2", "1")
