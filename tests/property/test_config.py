"""The configuration parser against any bytes, against upstream's rules written out naively, and against itself."""

from __future__ import annotations

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from mlvpnd.config import (
    Config,
    ConfigError,
    DataPlane,
    DeviceKind,
    FilterConfig,
    LinkConfig,
    Mode,
    Pacing,
    ParseResult,
    Peer,
    RuleAction,
    RuleConfig,
    parse,
)
from mlvpnd.config.changes import compare
from mlvpnd.config.problems import MAX_PROBLEMS
from mlvpnd.config.schema import FILTERS_PREFIX, GENERAL_KEYS, LINK_KEYS, RULES, UINT32_MAX, Key, Kind
from mlvpnd.config.values import ip_version
from tests.support.configs import CLIENT, DOCUMENTED_CLIENT

_WORDS = [key.name.encode() for key in GENERAL_KEYS + LINK_KEYS] + [
    b"[general]",
    b"[adsl1]",
    b"[filters]",
    b"[rules]",
    *(action.value.encode() for action in RuleAction),
    b"[",
    b"]",
    b"=",
    b" = ",
    b'"',
    b"#",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b"server",
    b"client",
    b"1",
    b"-1",
    b"99999999999",
    b"30s",
    b"10.0.0.1/24",
]
_pieces = st.one_of(st.sampled_from(_WORDS), st.binary(max_size=8))
_texts = st.one_of(
    st.binary(max_size=400),
    st.lists(_pieces, max_size=60).map(b"".join),
    # A good file with a bad part in it.
    st.tuples(st.lists(_pieces, max_size=12).map(b"".join), st.integers(0, len(DOCUMENTED_CLIENT))).map(
        lambda cut: DOCUMENTED_CLIENT[: cut[1]].encode() + cut[0] + DOCUMENTED_CLIENT[cut[1] :].encode()
    ),
)


def outcome(text: bytes, *, strict: bool = False) -> ParseResult | ConfigError:
    try:
        return parse(text, "f", strict=strict)
    except ConfigError as error:
        return error


@given(_texts)
@example(CLIENT.encode())
@example(b"")
def test_any_bytes_give_a_result_or_a_config_error(text: bytes) -> None:
    result = outcome(text)
    problems = result.problems if isinstance(result, ConfigError) else ()
    assert len(problems) <= MAX_PROBLEMS + 1
    assert len(result.warnings) <= MAX_PROBLEMS + 1
    lines = text.count(b"\n") + 1
    for problem in (*problems, *result.warnings):
        assert 0 <= problem.line <= lines
        assert str(problem).isprintable()
    if isinstance(result, ConfigError):
        assert problems
        assert str(result).splitlines() == [str(problem) for problem in problems]
    else:
        assert not compare(result.config, result.config)
        assert all(2 <= link.timeout <= UINT32_MAX for link in result.config.links)
        names = {link.name for link in result.config.links}
        assert {one.link for one in result.config.filters} <= names
        for rule in result.config.rules:
            assert names.issuperset(rule.links)
            assert len(set(rule.links)) == len(rule.links)
            assert rule.expression
            assert rule.action is not RuleAction.DUPLICATE or result.config.peer is Peer.MLVPND


@given(_texts)
@example(CLIENT.encode())
@example(b"\xef\xbb\xbf" + CLIENT.encode())
def test_strict_accepts_no_more_and_reads_the_same(text: bytes) -> None:
    strict, lenient = outcome(text, strict=True), outcome(text)
    if isinstance(strict, ParseResult):
        assert isinstance(lenient, ParseResult)
        assert strict == lenient
    elif isinstance(lenient, ConfigError) and len(strict.problems) <= MAX_PROBLEMS:
        assert set(lenient.problems) <= set(strict.problems)


def upstreams_value(raw: str) -> str:
    """The value that upstream's parser reads from the text after `=`: its reference, 7.1, one character at a time."""
    value = ""
    quoted = False
    for character in raw:
        if character == '"':
            quoted = not quoted
        elif character == "#" and not quoted:
            break
        elif character == " " and (not quoted or not value):
            continue
        elif character != "\r":
            value += character
    while value.endswith(" "):
        value = value[:-1]
    return value


@given(st.text(st.sampled_from("ab \"#\t\r'x1"), max_size=20))
@example('"  x  "')
@example('"x" "y"')
@example('"\t x')
def test_password_is_upstreams(raw: str) -> None:
    text = CLIENT.replace('"pleasechangeme!"', raw).encode()
    result = outcome(text)
    expected = upstreams_value(" " + raw).encode()
    if expected.strip(b"\t"):
        assert isinstance(result, ParseResult)
        assert result.config.password == expected


_secret_lines = st.lists(
    st.tuples(
        st.sampled_from(["", "", "timeout ", "mtu\t", "adsl1 ", "x[QZ]", "bindport "]),
        st.text(st.sampled_from('QZJ7"# \t[+/'), max_size=40),
        st.sampled_from(["", "", "=", "=="]),
    ).map("".join),
    min_size=1,
    max_size=5,
)


@example(["prefer QZ adsl1"], "[rules]\n", False)
@example(["Q==", "x[QZ]", "timeout 7"], "[filters]\n", False)
@example(["prefer a = udp", "x[QZ]", "timeout 7"], "[rules]\n", False)
@given(
    _secret_lines, st.sampled_from(["password = ", "[rules]\n", "[filters]\n", "[adsl1]\n", "password "]), st.booleans()
)
def test_no_message_shows_text_without_a_sign_of_equality(lines: list[str], before: str, strict: bool) -> None:
    """A wrapped password makes such lines; neither keys nor values are shown. No message of ours has these letters."""
    text = CLIENT.replace("password = ", f"{before}" + "\n".join(lines) + "\n[general]\npassword = ").encode()
    try:
        said = parse(text, "f", strict=strict).warnings
    except ConfigError as error:
        said = (*error.problems, *error.warnings)
    assert not [str(one) for one in said if set("QZJ") & set(str(one))]


_ports = st.integers(1, 65535).map(str)
_hosts = st.one_of(st.just(""), st.ip_addresses().map(str), st.from_regex(r"[a-z][a-z0-9.-]{0,50}", fullmatch=True))
_words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'), max_size=30)
_phrases = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"'), max_size=60).map(
    lambda text: text.strip(" ")
)
_names = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='[]#"'), min_size=1, max_size=28
).filter(lambda name: name.isprintable() and name not in ("general", RULES) and not name.startswith(FILTERS_PREFIX))
_devices = st.from_regex(r"[a-z][a-z0-9_.-]{0,14}", fullmatch=True)
_uint32 = st.integers(0, UINT32_MAX)


def _link(name: str, bindport: str) -> st.SearchStrategy[LinkConfig]:
    return st.builds(
        LinkConfig,
        name=st.just(name),
        bindhost=_hosts,
        bindport=st.just(bindport),
        binddevice=st.one_of(st.just(""), _devices),
        bindfib=_uint32,
        remotehost=_hosts.filter(bool),
        remoteport=st.just("openvpn"),
        bandwidth_upload=_uint32,
        timeout=st.integers(2, UINT32_MAX),
        loss_tolerance=st.integers(0, 100),
        latency_tolerance=st.integers(0, 1000),
        fallback_only=st.booleans(),
        priority=st.integers(0, 255),
    ).filter(lambda link: {ip_version(link.bindhost), ip_version(link.remotehost)} != {4, 6})


def _rules(names: list[str], peer: Peer) -> st.SearchStrategy[RuleConfig]:
    least = {RuleAction.PREFER: 1, RuleAction.PIN: 0}
    if peer is Peer.MLVPND and len(names) > 1:
        least[RuleAction.DUPLICATE] = 2
    listed = [
        st.builds(
            RuleConfig,
            st.just(action),
            st.lists(st.sampled_from(names), min_size=count, unique=True).map(tuple),
            _phrases.filter(bool),
        )
        for action, count in least.items()
        if names
    ]
    bare = [RuleAction.DROP, RuleAction.PIN] + [RuleAction.DUPLICATE] * (peer is Peer.MLVPND)
    return st.one_of(*listed, st.builds(RuleConfig, st.sampled_from(bare), st.just(()), _phrases.filter(bool)))


@st.composite
def _configs(draw: st.DrawFn) -> Config:
    names = draw(st.lists(_names, max_size=5, unique=True))
    ports = draw(st.lists(_ports, min_size=len(names), max_size=len(names), unique=True))
    links = tuple(draw(_link(name, port)) for name, port in zip(names, ports, strict=True))
    named = [name for name in names if name.isascii()]
    filters = st.lists(st.builds(FilterConfig, st.sampled_from(named), _phrases.filter(bool)), max_size=4)
    configured = draw(st.booleans())
    v4, v6 = st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)
    networks = st.builds(
        lambda address, length: str(ipaddress.ip_network((address, length), strict=False)), v4, st.integers(0, 32)
    )
    control = draw(st.booleans())
    peer = draw(st.sampled_from(Peer))
    return Config(
        mode=draw(st.sampled_from(Mode)),
        password=draw(_phrases.filter(bool)).encode(),
        statuscommand=draw(st.one_of(st.just(""), _words.map(lambda path: "/" + path))),
        interface_name=draw(_devices),
        tuntap=draw(st.sampled_from(DeviceKind)),
        timeout=draw(st.integers(2, UINT32_MAX)),
        cleartext_data=draw(st.booleans()),
        reorder_buffer_size=draw(st.integers(0, 65536)),
        loss_tolerance=draw(st.integers(0, 100)),
        latency_tolerance=draw(st.integers(0, 1000)),
        mtu=draw(st.one_of(st.none(), st.integers(576, 9000))),
        ip4=draw(v4.map(lambda address: address + "/24") if configured else _words),
        ip6=draw(v6.map(lambda address: address + "/64") if configured else _words),
        ip4_gateway=draw(v4 if configured else _words),
        ip6_gateway=draw(v6 if configured else _words),
        ip4_routes=draw(st.lists(networks, max_size=3).map(" ".join) if configured else _phrases),
        ip6_routes=draw(st.lists(v6, max_size=3).map(" ".join) if configured else _phrases),
        configure_interface=configured,
        # test_general covers a path that names no directory: it is in /run/mlvpn.
        control_unix_path=draw(st.one_of(st.just(""), _words.map(lambda path: "/run/" + path))),
        control_bind_host=draw(_hosts.filter(bool)) if control else "",
        control_bind_port=draw(_ports) if control else "",
        pacing=draw(st.sampled_from(Pacing)),
        peer=peer,
        data_plane=draw(st.sampled_from((None, *DataPlane))),
        links=links,
        filters=tuple(draw(filters)) if named else (),
        rules=tuple(draw(st.lists(_rules(named, peer), max_size=4))),
    )


def rendered(config: Config) -> bytes:
    """The file that stands for `config`, with every key in quotes."""

    def section(keys: tuple[Key, ...], values: Config | LinkConfig) -> list[str]:
        lines = []
        for key in keys:
            value = getattr(values, key.field)
            if value is None:
                value = 0 if key.kind is Kind.NUMBER else ""
            elif isinstance(value, bool):
                value = int(value)
            elif isinstance(value, Mode | DeviceKind | Pacing | Peer | DataPlane):
                value = value.value
            elif isinstance(value, bytes):
                value = value.decode()
            lines.append(f'{key.name} = "{value}"')
        return lines

    lines = ["[filters-all]", *(f'"{one.link}" = "{one.expression}"' for one in config.filters)]
    lines.append(f"[{RULES}]")
    for rule in config.rules:
        named = "".join(f' "{name}"' for name in rule.links)
        lines.append(f'{rule.action.value}{named} = "{rule.expression}"')
    for link in config.links:
        lines += [f"[{link.name}]", *section(LINK_KEYS, link)]
    lines += ["[general]", *section(GENERAL_KEYS, config)]
    return "\n".join(lines).encode()


@given(_configs())
def test_what_is_written_is_read(config: Config) -> None:
    assert parse(rendered(config), "f", strict=True).config == config


_few_links = st.dictionaries(
    st.sampled_from("abc"), st.tuples(st.sampled_from(("", "h")), st.sampled_from((2, 60))), max_size=3
).map(lambda links: tuple(LinkConfig(name, host, timeout=timeout) for name, (host, timeout) in links.items()))
_few = st.builds(Config, mode=st.sampled_from(Mode), password=st.just(b"x"), links=_few_links)


@given(_few, _few)
def test_every_link_that_differs_has_one_change(old: Config, new: Config) -> None:
    changes = compare(old, new)
    names = [link.name for link in changes.added + changes.removed]
    names += [change.new.name for change in changes.restarted + changes.updated]
    assert len(names) == len(set(names))
    differing = {
        name
        for name in {link.name for link in old.links + new.links}
        if old.mode is not new.mode or old.link(name) != new.link(name)
    }
    assert set(names) == differing
    restarted = {change.new.name for change in changes.restarted}
    assert changes.mode or all(change.old.bindhost != change.new.bindhost for change in changes.restarted)
    assert all(change.old.bindhost == change.new.bindhost for change in changes.updated)
    assert not changes.mode or restarted == {link.name for link in new.links if old.link(link.name)}
    assert compare(new, old).added == changes.removed
