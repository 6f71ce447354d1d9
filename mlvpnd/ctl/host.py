"""What this host tells of a tunnel besides its daemon: addresses, routes, the last lines of the journal.

A program that is missing or refuses has nothing to say: nothing here raises. Most verbs need neither JSON nor other
programs, so these are imported where they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence

LIMIT = 5.0
"""Seconds for an answer of each program."""
LINES, MORE_LINES = 10, 20
"""Lines of the journal, as `systemctl status` has them; and of a tunnel that does not run: systemd writes more then."""
_TABLE_MAIN = "main"


def unit_of(tunnel: str) -> str:
    """The unit that runs a tunnel."""
    return f"mlvpn@{tunnel}.service"


def addresses(interface: str) -> list[str]:
    """The addresses of an interface with their prefix lengths, without those that the kernel makes by itself."""
    found = []
    for link in _json("address", "show", "dev", interface):
        for one in _objects(link.get("addr_info")):
            if one.get("scope") != "link":
                found.append(f"{one.get('local')}/{one.get('prefixlen')}")
    return found


def routes(interface: str) -> list[str]:
    """The routes into an interface, without those that come with its addresses."""
    found = []
    for family in ("-4", "-6"):
        for one in _json(family, "route", "show", "dev", interface, "table", "all"):
            table = str(one.get("table", _TABLE_MAIN))
            if one.get("protocol") == "kernel" or one.get("type", "unicast") != "unicast" or table == "local":
                continue
            found.append(f"{one.get('dst')}" + (f" table {table}" if table != _TABLE_MAIN else ""))
    return found


def last_lines(tunnel: str, count: int = LINES) -> list[str]:
    """The last lines of the tunnel's unit in the journal, as far as the caller may read it."""
    words = ("journalctl", "--unit", unit_of(tunnel), f"--lines={count}", "--no-pager", "--quiet", "--output=short")
    return _output(words).splitlines()


def _json(*words: str) -> list[dict[str, object]]:
    import json

    try:
        return _objects(json.loads(_output(("ip", "-json", *words)) or "[]"))
    except ValueError:
        return []


def _objects(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _output(words: Sequence[str]) -> str:
    import subprocess

    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=LIMIT, check=False)  # noqa: S603 - fixed programs, no shell
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
