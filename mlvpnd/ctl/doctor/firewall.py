"""Hints about the packet filter: does any rule seem to let the peer's datagrams in?

A filter can be written in too many ways to be sure, so a rule that is not understood counts as letting them in.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlvpnd.config import Config, Mode

from .ends import Ends
from .finding import Finding, ok, warning

_LIMIT = 10.0
Objects = Sequence[Mapping[str, Any]]
"""The output of `nft -j`: each object is a mapping from its kind to its properties."""


def read_ruleset() -> Objects | None:
    """The ruleset of nftables, including iptables' rules if nftables has them; None: it cannot be read."""
    program = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "-j", "list", "ruleset"], capture_output=True, timeout=_LIMIT, check=True)  # noqa: S603 - a fixed command
        listed = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    found = listed.get("nftables") if isinstance(listed, dict) else None
    return found if isinstance(found, list) else None


def check_firewall(config: Config, ends: Sequence[Ends], ruleset: Objects) -> Iterator[Finding]:
    """Whether each chain that drops by default has a rule that lets the links' datagrams in."""
    closed = [
        chain
        for item in ruleset
        if (chain := item.get("chain")) and chain.get("hook") == "input" and chain.get("policy") == "drop"
    ]
    clear = True
    for chain in closed:
        rules = _rules_of_table(ruleset, chain)
        sets = _sets_of_table(ruleset, chain)
        for one in ends:
            answers = config.mode is Mode.CLIENT
            if any(_lets_in(rule, one.local_port, sets, answers=answers) for rule in rules):
                continue
            clear = False
            place = f"{chain['family']} {chain['table']} {chain['name']}"
            if answers:
                what, match = "the peer's answers", "ct state established,related"
            else:
                what, match = f"UDP port {one.local_port}", f"udp dport {one.local_port}"
            text = f"{one.link.name}: the firewall's chain {place} drops by default, and no rule in it accepts {what}"
            yield warning("firewall", text, f"nft insert rule {place} {match} accept", link=one.link.name)
    if clear:
        text = (
            "the firewall seems to let the links in"
            if closed
            else "no chain of nftables drops incoming packets by default"
        )
        yield ok("firewall", text)


def _rules_of_table(ruleset: Objects, chain: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The expressions of all rules in a chain's table: the chain may jump to any other."""
    where = (chain["family"], chain["table"])
    return [
        rule.get("expr", [])
        for item in ruleset
        if (rule := item.get("rule")) and (rule.get("family"), rule.get("table")) == where
    ]


def _sets_of_table(ruleset: Objects, chain: Mapping[str, Any]) -> dict[str, list[Any]]:
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
