"""Hints about the packet filter: does any rule seem to let the peer's datagrams in?

A filter can be written in too many ways to be sure, so a rule that is not understood counts as letting them in.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from mlvpnd.config import Config, Mode

from .ends import Ends
from .finding import UNTIL_REBOOT, Finding, listed, ok, warning
from .network import IPInterface

_LIMIT = 2.5
"""Seconds for the program to answer."""
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_ALSO_FILE = f"{UNTIL_REBOOT} Change the firewall's own file too."
Chain = Mapping[str, Any]
Rule = Mapping[str, Any]
Objects = Sequence[Mapping[str, Any]]
"""The output of `nft -j`: each object is a mapping from its kind to its properties."""


def read_ruleset() -> Objects | None:
    """The ruleset of nftables, including iptables' rules if nftables has them; None: it cannot be read."""
    program = shutil.which("nft", path=_PATH)
    if program is None:
        return None
    try:
        done = subprocess.run([program, "-j", "list", "ruleset"], capture_output=True, timeout=_LIMIT, check=True)  # noqa: S603 - a fixed command
        listed = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    found = listed.get("nftables") if isinstance(listed, dict) else None
    return found if isinstance(found, list) else None


def closed_chains(ruleset: Objects, hook: str) -> list[Chain]:
    """The chains of a hook that drop what no rule accepts: by their policy, or by a last rule without a condition."""
    chains = [chain for item in ruleset if (chain := item.get("chain")) and chain.get("hook") == hook]
    return [chain for chain in chains if chain.get("policy") == "drop" or _ends_closed(ruleset, chain)]


def _ends_closed(ruleset: Objects, chain: Chain) -> bool:
    own = [one for one in rules_of(ruleset, chain) if one.get("chain") == chain["name"]]
    last = own[-1].get("expr", []) if own else []
    return any(_refuses(one) for one in last) and not any("match" in one or "xt" in one for one in last)


def _refuses(expression: Mapping[str, Any]) -> bool:
    return "drop" in expression or "reject" in expression


def rules_of(ruleset: Objects, chain: Chain) -> list[Rule]:
    """All rules in a chain's table: the chain may jump to any other."""
    where = (chain["family"], chain["table"])
    return [rule for item in ruleset if (rule := item.get("rule")) and (rule.get("family"), rule.get("table")) == where]


def check_firewall(config: Config, ends: Sequence[Ends], ruleset: Objects) -> Iterator[Finding]:
    """Whether each chain that drops by default has a rule that lets the links' datagrams in, and none drops them.

    One finding for each chain or rule, however many links it concerns.
    """
    closed = closed_chains(ruleset, "input")
    answers = config.mode is Mode.CLIENT
    clear, shut = True, set[str]()
    for chain in closed:
        rules = [rule.get("expr", []) for rule in rules_of(ruleset, chain)]
        sets = _sets_of_table(ruleset, chain)
        out = [one for one in ends if not any(_lets_in(rule, one.local_port, sets, answers=answers) for rule in rules)]
        if out:
            clear = False
            yield _shut_out(chain, out, answers=answers)
            shut.update(one.link.name for one in out)
    for chain, rule, one in _explicit(ruleset, [one for one in ends if one.link.name not in shut]):
        clear = False
        place = f"{chain['family']} {chain['table']} {rule['chain']}"
        text = f"{one.link.name}: a rule of the firewall's chain {place} drops UDP port {one.local_port}"
        command = f"nft delete rule {place} handle {rule['handle']}"
        yield warning("firewall", text, command, link=one.link.name).noted(_ALSO_FILE)
    if clear:
        text = (
            "the firewall seems to let the links in"
            if closed
            else "no chain of nftables drops incoming packets by default"
        )
        yield ok("firewall", text)


def _shut_out(chain: Chain, ends: Sequence[Ends], *, answers: bool) -> Finding:
    place = f"{chain['family']} {chain['table']} {chain['name']}"
    names = [one.link.name for one in ends]
    ports = sorted({one.local_port for one in ends})
    listing = ", ".join(map(str, ports))
    if answers:
        what = "the peer's answers"
        rule, old = ["ct state established,related"], ["-m conntrack --ctstate ESTABLISHED,RELATED"]
    else:
        what = f"UDP port {listing}"
        rule = [f"udp dport {port}" for port in ports]
        old = [f"-p udp --dport {port}" for port in ports]
    text = f"{listed(names)}: the firewall's chain {place} drops by default, and no rule in it accepts {what}"
    program = _iptables(chain)
    commands = (
        [f"{program} -I {chain['name']} {one} -j ACCEPT" for one in old]
        if program
        else [f"nft insert rule {place} {one} accept" for one in rule]
    )
    return warning("firewall", text, *commands, link=names[0] if len(names) == 1 else "").noted(_ALSO_FILE)


def _explicit(ruleset: Objects, ends: Sequence[Ends]) -> Iterator[tuple[Chain, Rule, Ends]]:
    """Rules of chains for incoming packets that drop just the port of a link, before another rule accepts it."""
    for item in ruleset:
        chain = item.get("chain")
        if not chain or chain.get("hook") != "input":
            continue
        sets = _sets_of_table(ruleset, chain)
        own = [rule for rule in rules_of(ruleset, chain) if rule.get("chain") == chain["name"]]
        for one in ends:
            for rule in own if one.local_port else ():
                if _lets_in(rule.get("expr", []), one.local_port, sets, answers=False):
                    break
                if _drops_port(rule, one.local_port, sets):
                    yield chain, rule, one
                    break


def _drops_port(rule: Rule, port: int, sets: Mapping[str, list[Any]]) -> bool:
    """Whether a rule drops the port whoever sends."""
    expressions = rule.get("expr", [])
    matches = [one["match"] for one in expressions if "match" in one]
    if "handle" not in rule or len(matches) != 1 or not any(_refuses(one) for one in expressions):
        return False
    (match,) = matches
    return _field(match) == ("udp", "dport") and match.get("op") in ("==", "in") and _has(match["right"], port, sets)


def _field(match: Mapping[str, Any]) -> tuple[object, object]:
    left = match.get("left")
    payload = left.get("payload") if isinstance(left, dict) else None
    return (payload.get("protocol"), payload.get("field")) if isinstance(payload, dict) else (None, None)


def _iptables(chain: Chain) -> str:
    """The program that made a chain, if it was iptables: it reads no rule of another program."""
    program = {"ip": "iptables", "ip6": "ip6tables"}.get(chain["family"], "")
    made = program and chain["table"] == "filter" and chain["name"] in ("INPUT", "FORWARD")
    return program if made and shutil.which(program, path=_PATH) else ""


def accept_forwarded(chain: Chain, interface: str) -> list[str]:
    """Commands that let a chain forward what comes out of an interface and goes into it."""
    program = _iptables(chain)
    if program:
        return [f"{program} -I {chain['name']} {way} {interface} -j ACCEPT" for way in ("-i", "-o")]
    place = f"{chain['family']} {chain['table']} {chain['name']}"
    return [f"nft insert rule {place} {way} {interface} accept" for way in ("iifname", "oifname")]


def passes(rule: Rule, interface: str, out: Collection[str]) -> bool:
    """Whether a rule may accept any new packet that comes by `interface` and leaves by one of `out` (empty: any)."""
    expressions = rule.get("expr", [])
    if not any("accept" in one or "queue" in one for one in expressions):
        return False
    for match in (one["match"] for one in expressions if "match" in one):
        left, right, equal = match.get("left"), match.get("right"), match.get("op") in ("==", "in")
        if not isinstance(left, dict):
            continue
        meta, state = left.get("meta"), left.get("ct")
        if isinstance(meta, dict) and meta.get("key") in ("iif", "iifname"):
            if _names(right, [interface]) != equal:
                return False
        elif isinstance(meta, dict) and meta.get("key") in ("oif", "oifname"):
            if out and _names(right, out) != equal:
                return False
        elif isinstance(state, dict) and state.get("key") == "state":
            if not _has(right, "new", {}):
                return False
        elif isinstance(left.get("payload"), dict) and left["payload"].get("protocol") in ("tcp", "udp", "icmp"):
            return False
    return True


def _names(right: Any, interfaces: Collection[str]) -> bool:
    """Whether a match's right side has one of the names; one may end in an asterisk."""
    if isinstance(right, str) and right.endswith("*"):
        return any(one.startswith(right[:-1]) for one in interfaces)
    return any(_has(right, one, {}) for one in interfaces)


def lets_in_icmp(rule: Rule) -> bool:
    """Whether a rule may accept ICMP that nobody asked for, or the ICMP that belongs to a connection."""
    expressions = rule.get("expr", [])
    if not any("accept" in one for one in expressions):
        return False
    for match in (one["match"] for one in expressions if "match" in one):
        left, right = match.get("left"), match.get("right")
        if not isinstance(left, dict):
            continue
        meta, state = left.get("meta"), left.get("ct")
        protocol, field = _field(match)
        if protocol in ("tcp", "udp", "sctp") or (field in ("protocol", "nexthdr") and not _has(right, "icmp", {})):
            return False
        if isinstance(meta, dict) and meta.get("key") == "l4proto" and not _has(right, "icmp", {}):
            return False
        if isinstance(meta, dict) and meta.get("key") in ("iif", "iifname") and _has(right, "lo", {}):
            return False
        if isinstance(state, dict) and state.get("key") == "state" and not _has(right, "related", {}):
            return False
    return True


def translates(ruleset: Objects, inner: IPInterface | None) -> bool:
    """Whether a rule may translate the source addresses of a tunnel's network."""
    for item in ruleset:
        rule = item.get("rule")
        expressions = rule.get("expr", []) if rule else []
        if not any("masquerade" in one or "snat" in one or _is_target(one) for one in expressions):
            continue
        sources = [one["match"] for one in expressions if "match" in one and _field(one["match"])[1] == "saddr"]
        if all(one.get("op") != "==" or _covers(one.get("right"), inner) for one in sources):
            return True
    return False


def _is_target(expression: Mapping[str, Any]) -> bool:
    found = expression.get("xt")
    return isinstance(found, dict) and found.get("name") in ("MASQUERADE", "SNAT")


def _covers(right: Any, inner: IPInterface | None) -> bool:
    """Whether an address or network of a match covers a tunnel's network; True if it is not understood."""
    prefix = right.get("prefix") if isinstance(right, dict) else None
    text = f"{prefix.get('addr')}/{prefix.get('len')}" if isinstance(prefix, dict) else right
    if inner is None or not isinstance(text, str):
        return True
    try:
        return ip_network(text).overlaps(inner.network)
    except (TypeError, ValueError):
        return not text[:1].isdigit()


def _sets_of_table(ruleset: Objects, chain: Chain) -> dict[str, list[Any]]:
    where = (chain["family"], chain["table"])
    return {
        f"@{one['name']}": one.get("elem", [])
        for item in ruleset
        if (one := item.get("set")) and (one.get("family"), one.get("table")) == where
    }


def _lets_in(
    expressions: Sequence[Mapping[str, Any]], port: int, sets: Mapping[str, list[Any]], *, answers: bool
) -> bool:
    """Whether a rule may accept a datagram to `port` from outside; `answers`: an answer to ours."""
    if not any("accept" in expression or "queue" in expression for expression in expressions):
        return False
    for expression in expressions:
        match = expression.get("match")
        if match is None:
            continue
        left, right = match.get("left"), match.get("right")
        if not isinstance(left, dict) or match.get("op") not in ("==", "in"):
            continue
        payload, meta, state = left.get("payload"), left.get("meta"), left.get("ct")
        if isinstance(payload, dict):
            protocol, field = payload.get("protocol"), payload.get("field")
            if protocol in ("tcp", "icmp", "icmpv6", "sctp") or (
                protocol == "udp" and field == "dport" and not _has(right, port, sets)
            ):
                return False
            if field in ("protocol", "nexthdr") and not _has(right, "udp", sets):
                return False
        elif isinstance(meta, dict):
            if meta.get("key") == "l4proto" and not _has(right, "udp", sets):
                return False
            if meta.get("key") in ("iif", "iifname") and _has(right, "lo", sets):
                return False
        elif isinstance(state, dict) and state.get("key") == "state":
            wanted = "established" if answers else "new"
            if not _has(right, wanted, sets):
                return False
    return True


def _has(right: Any, value: str | int, sets: Mapping[str, list[Any]]) -> bool:
    """Whether the right side of a match covers a value; True if it is not understood."""
    if isinstance(right, str) and right.startswith("@"):
        return right not in sets or _has(sets[right], value, sets)
    if isinstance(right, list):
        return any(_has(one, value, sets) for one in right)
    if isinstance(right, dict):
        if "set" in right:
            return _has(right["set"], value, sets)
        if "range" in right:
            low, high = right["range"]
            return isinstance(value, int) and isinstance(low, int) and isinstance(high, int) and low <= value <= high
        if "elem" in right:
            return _has(right["elem"].get("val"), value, sets)
        return True
    return bool(right == value)
