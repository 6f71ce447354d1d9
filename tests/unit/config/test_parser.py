"""Whole files."""

from __future__ import annotations

import hashlib

import pytest

from mlvpnd.config import Config, ConfigError, DeviceKind, FilterConfig, LinkConfig, Mode, parse
from mlvpnd.config.links import PORT_ADVICE
from mlvpnd.config.problems import Problem
from mlvpnd.config.schema import MAX_FILE_SIZE
from tests.support.configs import CLIENT, DOCUMENTED_CLIENT, SERVER, errors_of, good, warnings_of


def test_shortest_client() -> None:
    assert good(CLIENT, strict=True).config == Config(
        mode=Mode.CLIENT,
        password=b"pleasechangeme!",
        links=(LinkConfig("adsl1", remotehost="203.0.113.1", remoteport="5080"),),
    )
    assert warnings_of(CLIENT) == []


def test_shortest_server() -> None:
    config = good(SERVER, strict=True).config
    assert config.mode is Mode.SERVER
    assert config.links == (LinkConfig("adsl1", bindport="5080"),)


def test_documented_file() -> None:
    result = good(DOCUMENTED_CLIENT, strict=True)
    assert [(one.line, one.key) for one in result.warnings] == [(30, "bindport")]
    assert result.config == Config(
        mode=Mode.CLIENT,
        password=b"pleasechangeme!",
        statuscommand="/etc/mlvpn/mlvpn0_updown.sh",
        interface_name="mlvpn0",
        tuntap=DeviceKind.TUN,
        timeout=30,
        reorder_buffer_size=64,
        loss_tolerance=50,
        latency_tolerance=300,
        mtu=1400,
        ip4="10.42.42.2/30",
        ip6="fd00:42::2/64",
        ip4_gateway="10.42.42.1",
        ip6_gateway="fd00:42::1",
        ip4_routes="10.43.0.0/16 10.44.0.0/16",
        ip6_routes="fd00:43::/64 fd00:44::/64",
        control_unix_path="/run/mlvpn/mlvpn.sock",
        control_bind_host="127.0.0.1",
        control_bind_port="1040",
        links=(
            LinkConfig(
                "adsl1",
                bindhost="192.168.1.2",
                bindport="5080",
                remotehost="203.0.113.1",
                remoteport="5080",
                bandwidth_upload=61440,
                timeout=30,
                loss_tolerance=50,
                latency_tolerance=300,
            ),
            LinkConfig(
                "adsl2",
                bindhost="192.168.2.2",
                remotehost="203.0.113.1",
                remoteport="5081",
                bandwidth_upload=51200,
                timeout=25,
                loss_tolerance=15,
                latency_tolerance=200,
                fallback_only=True,
            ),
        ),
        filters=(FilterConfig("adsl2", "udp port 5060"), FilterConfig("adsl2", "udp portrange 10000-20000")),
    )
    assert [link.line for link in result.config.links] == [28, 36]
    assert [one.line for one in result.config.filters] == [25, 26]


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_line_ends_and_missing_last_one(newline: str) -> None:
    text = CLIENT.rstrip().replace("\n", newline)
    assert good(text).config == good(CLIENT).config


def test_general_may_stand_last_and_still_gives_the_defaults() -> None:
    general, link = CLIENT.split("\n\n")
    config = good(f"{link}\n{general}\ntimeout = 5\nloss_tolerance = 7\nlatency_tolerance = 9\n").config
    assert (config.links[0].timeout, config.links[0].loss_tolerance, config.links[0].latency_tolerance) == (5, 7, 9)
    assert config.mode is Mode.CLIENT


# The keys are BLAKE2b of the password, from upstream's vectors.
@pytest.mark.parametrize(
    ("written", "key"),
    [
        ('password = "pleasechangeme!"', "af87bce0d0e54dcd326efc736bde699d759f67fbbd5040539d30f8f06e4d5293"),
        ("password = x", "d161d71145abeec5ef15abcf0459cec60a27321e2f0ac0ef7ace5254f5944476"),
        ('password = "hello world"', "256c83b297114d201b30179f3f0ef0cace9783622da5974326b436178aeef610"),
        ('password = "  hello world  " # x', "256c83b297114d201b30179f3f0ef0cace9783622da5974326b436178aeef610"),
        ('"password" = hello" "world', "256c83b297114d201b30179f3f0ef0cace9783622da5974326b436178aeef610"),
        ("password please change me!", "af87bce0d0e54dcd326efc736bde699d759f67fbbd5040539d30f8f06e4d5293"),
    ],
)
def test_password_is_upstreams(written: str, key: str) -> None:
    config = good(CLIENT.replace('password = "pleasechangeme!"', written)).config
    assert hashlib.blake2b(config.password, digest_size=32).hexdigest() == key


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("password = a\tb", b"a\tb"),
        ('password = "a \t b"', b"a \t b"),
        ("password =\tx", b"\tx"),
        ('password = " x\t " # tab', b"x\t"),
        ("password = a\x01b'", b"a\x01b'"),
        # Upstream does not find these; people who write them mean white space.
        ("password\t=\tx\t", b"x"),
        ("password\tx", b"x"),
        ("\tpassword = x\t", b"x"),
    ],
)
def test_tabs_in_the_password(written: str, password: bytes) -> None:
    assert good(CLIENT.replace('password = "pleasechangeme!"', written)).config.password == password


def test_tabs_around_the_password_are_mentioned() -> None:
    for written in ("\tx", "x\t"):
        text = CLIENT.replace('"pleasechangeme!"', written)
        assert [str(warning) for warning in good(text, strict=True).warnings] == [
            "f:3: password: the TAB before or after the text counts as part of it"
        ]


def test_password_may_come_from_elsewhere() -> None:
    text = CLIENT.replace('password = "pleasechangeme!"\n', "").encode()
    assert parse(text, "f", require_password=False).config.password == b""
    with pytest.raises(ConfigError, match=r"^f:1: password: Password is mandatory\. allowed: "):
        parse(text, "f")


@pytest.mark.parametrize(
    "line",
    [
        "password = secret = x",
        "passwordx = secret",
        "password = secr\xe9t",
        "password secret = x",
        "x = 1\n[]\npassword secret = x",
    ],
)
def test_no_message_shows_the_password(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        good(CLIENT.replace('password = "pleasechangeme!"', line))
    assert caught.value.problems
    assert caught.value.warnings
    assert "secr" not in "".join(map(str, caught.value.problems + caught.value.warnings))
    assert "pleasechangeme" not in repr(good(CLIENT))


WRAPPED = {
    "in quotes": '"begin\nHUNTER and more"',
    "a word": "begin\nHUNTER",
    "words": "begin\nHUNTER correct horse",
    "blank first": "begin\n\tHUNTER correct",
    "base64": "begin\nq83vEjRWHUNTERze8SNF==",
    "base64, one sign": "begin\nq83vEjRWHUNTERze8SNFZ=",
    "a long piece with a sign": "begin\nHUNTERabcdefghijklmnopqrs=tuv",
    "words and a sign": "begin\nHUNTER correct = horse",
    "after a known word": "begin\ntimeout HUNTER",
    "after a choice": "begin\ntuntap HUNTER",
    "after a path": "begin\nstatuscommand HUNTER",
    "after a name": "begin\ninterface_name /HUNTER",
    "after a host": "begin\ncontrol_bind_host a\x02HUNTER",
    "after a port": "begin\ncontrol_bind_port HUNTER!",
    "after a network": "begin\nconfigure_interface = 1\nip4_routes HUNTER",
    "after an address": "begin\nconfigure_interface = 1\nip4 HUNTER",
    "after a gateway": "begin\nconfigure_interface = 1\nip6_gateway HUNTER",
    "brackets": "begin\nx[HUNTER]y",
    "brackets, and what makes it a link": "begin\nx[HUNTER]y\nbandwidth_upload = 3",
    "a key in brackets": "begin\n[password=HUNTER]",
    "the sign left out": '"begin"\npassword"HUNTER"',
    "the sign left out of a misspelt key": '"begin"\npasword HUNTER',
    "all in one line": '"begin"\nmode client password HUNTER',
    "the line break left out": '"begin"\nstatuscommand = x password HUNTER',
    "the line break left out of a name": '"begin"\ninterface_name = mlvpn0 password "HUNTER"',
    "two": 'begin" mode = "HUNTER"',
}


@pytest.mark.parametrize("written", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("section", ["", "[other]\n", "[filters]\n", "[rules]\n", "before any"])
def test_no_message_shows_what_a_wrapped_password_goes_on_with(written: str, section: str) -> None:
    """After a line break in a value, its rest is read as keys, values and even names of sections."""
    rest = CLIENT.replace('password = "pleasechangeme!"\n', "")
    line = f"password = {written}\n"
    if section == "before any":
        text = line.partition("\n")[2] + CLIENT
    else:
        text = rest.replace("[general]\n", f"[general]\n{line}") if not section else CLIENT + section + line
    said: list[Problem] = []
    for strict in (False, True):
        try:
            said += good(text, strict=strict).warnings
        except ConfigError as error:
            said += [*error.problems, *error.warnings]
    assert not [str(one) for one in said if "HUNT" in str(one)]
    assert "HUNT" not in "".join(map(repr, said))


@pytest.mark.parametrize(
    "text", ["", "\n", "[general]\n", "[general]\nmode =\n", "garbage", "[General]\nmode = client\n"]
)
def test_no_general_section(text: str) -> None:
    assert "there is no [general] section with mode and password" in errors_of(text)[0]


def test_misspelt_general_section_is_named() -> None:
    assert errors_of(CLIENT.replace("[general]", "[ General ]"))[0] == (
        "f: there is no [general] section with mode and password; [ General ] is not [general]"
    )


def test_missing_values_are_all_reported() -> None:
    text = "[general]\ncleartext_data = 1\n[a]\nbindport = 1\n"
    assert errors_of(text) == [
        "f:1: mode: Operation mode is mandatory. allowed: server or client",
        "f:1: password: Password is mandatory. allowed: any text, the same at both ends",
    ]
    assert errors_of(text.replace("cleartext_data = 1", "mode = client")) == [
        "f:1: password: Password is mandatory. allowed: any text, the same at both ends",
        "f:3: remotehost: [a] No remote address specified. allowed: a host name or address",
        "f:3: remoteport: [a] No remote port specified. allowed: a port 1..65535 or a service name",
    ]


def test_sections_of_one_name_are_joined() -> None:
    text = CLIENT + "[general]\nmtu = 1400\nmode = server\n[adsl1]\nbindport = 1\n"
    result = good(text)
    assert (result.config.mode, result.config.mtu) == (Mode.CLIENT, 1400)
    assert [link.bindport for link in result.config.links] == ["1"]
    assert [str(warning) for warning in result.warnings] == [
        "f:8: section [general] is also in line 1; both are joined",
        "f:10: mode: already set as mode in line 2: line 2 counts; give the key once",
        "f:11: section [adsl1] is also in line 5; both are joined",
        f"f:12: bindport: [adsl1] a client should leave bindport out: {PORT_ADVICE}",
    ]
    assert len(errors_of(text, strict=True)) == 3


def test_links_are_in_order_of_first_appearance() -> None:
    extra = "[{}]\nremotehost = h\nremoteport = 1\n"
    text = CLIENT + extra.format("b") + extra.format("a") + "[adsl1]\ntimeout = 3\n"
    assert [link.name for link in good(text).config.links] == ["adsl1", "b", "a"]


def test_section_without_value_is_no_link() -> None:
    text = CLIENT + "[empty]\n[empty2]\nbindhost =\n"
    assert len(good(text).config.links) == 1
    assert warnings_of(text) == [
        "f:8: section [empty] is empty and ignored",
        "f:9: section [empty2] is empty and ignored",
    ]


def test_section_with_unknown_keys_only_is_a_link_as_upstream() -> None:
    assert [error.split(": ")[1] for error in errors_of(CLIENT + "[x]\ny = 1\n")] == ["remotehost", "remoteport"]


class TestFilters:
    LINK = CLIENT + "[sdsl]\nremotehost = h\nremoteport = 2\n"

    def filters(self, text: str) -> list[tuple[str, str]]:
        return [(one.link, one.expression) for one in good(self.LINK + text).config.filters]

    def test_spaces_are_kept_without_quotes(self) -> None:
        assert self.filters("[filters]\nsdsl = udp port 5060 # sip\n") == [("sdsl", "udp port 5060")]
        assert warnings_of(self.LINK + "[filters]\nsdsl = udp port 5060\n") == []

    def test_quotes_equals_signs_and_brackets(self) -> None:
        lines = '[filters]\nsdsl = "tcp[13] & 2 != 0"\nadsl1 = ip[8] == 1\nsdsl "udp"\n'
        assert self.filters(lines) == [("sdsl", "tcp[13] & 2 != 0"), ("adsl1", "ip[8] == 1"), ("sdsl", "udp")]
        assert warnings_of(self.LINK + lines) == []

    def test_all_filter_sections_in_the_files_order(self) -> None:
        lines = "[filters]\nsdsl = a\n[filters-more]\nadsl1 = b\n[filters]\nsdsl = c\nsdsl = a\n"
        assert self.filters(lines) == [("sdsl", "a"), ("adsl1", "b"), ("sdsl", "c"), ("sdsl", "a")]

    def test_filter_of_unknown_link_is_skipped(self) -> None:
        lines = "[filters]\nsdls = udp\nx = tcp\nsdsl = icmp\nadsl1 =\n"
        assert self.filters(lines) == [("sdsl", "icmp")]
        assert warnings_of(self.LINK + lines) == [
            "f:12: sdls: (filters) sdls interface not found: did you mean sdsl?",
            "f:13: x: (filters) x interface not found: filter ignored",
        ]
        assert len(errors_of(self.LINK + lines, strict=True)) == 2

    def test_filters_that_nothing_matches_are_left_out(self) -> None:
        lines = "[filters]\nsdsl = udp or inbound\nsdsl = host inbound.example\nadsl1 = pppoes\n"
        assert self.filters(lines) == [("sdsl", "host inbound.example")]
        warnings = warnings_of(self.LINK + lines)
        assert [warning.partition(":")[2][:28] for warning in warnings] == [
            "12: sdsl: filter udp or inbo",
            "14: adsl1: filter pppoes is ",
        ]
        assert "'inbound' has a meaning only in a capture" in warnings[0]
        assert errors_of(self.LINK + lines, strict=True) == warnings

    def test_too_many_filters(self) -> None:
        lines = "[filters]\n" + "sdsl = udp\n" * 257
        assert len(self.filters(lines)) == 255
        assert warnings_of(self.LINK + lines) == [
            f"f:{line}: sdsl: sdsl filter udp error: too many filters, at most 255" for line in (267, 268)
        ]
        assert errors_of(self.LINK + lines, strict=True) == warnings_of(self.LINK + lines)

    def test_filters_may_stand_before_their_link(self) -> None:
        assert len(good("[filters]\nadsl1 = udp\n" + CLIENT).config.filters) == 1


def test_too_large_a_file() -> None:
    padding = "#" * (MAX_FILE_SIZE - len(CLIENT))
    assert good(CLIENT + padding).config == good(CLIENT).config
    assert errors_of(CLIENT + padding + "#") == [f"f: the file is too large: at most {MAX_FILE_SIZE} bytes are read"]


def test_problems_are_limited_and_counted() -> None:
    errors = errors_of(CLIENT + "x = 1\n" * 250, strict=True)
    assert len(errors) == 101
    assert errors[-1] == "f: and 150 more"
    warnings = warnings_of(CLIENT + "x = 1\n" * 250)
    assert (len(warnings), warnings[-1]) == (101, "f: and 150 more")


def test_a_failing_file_has_its_warnings_too() -> None:
    with pytest.raises(ConfigError) as caught:
        good("[general]\nmod = client\npassword = x\n")
    assert [str(problem) for problem in caught.value.warnings] == [
        "f:2: mod: unknown key, has no effect: did you mean mode?"
    ]
