"""The file's filters and rules as the protocol takes them: expressions compiled, links by number.

An expression that libpcap refuses is left out with a warning, at start and at a reload. Its traffic then goes the way
of all other traffic, even if the rule was `drop`. `mlvpnd check-config` finds it before.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlvpnd.config.model import Config, DeviceKind
from mlvpnd.config.problems import HIDDEN
from mlvpnd.logs.log import logger
from mlvpnd.net import bpf
from mlvpnd.protocol.sending.rules import Action, Rule

_log = logger("config")


def filters(config: Config, numbers: Mapping[str, int]) -> list[tuple[bpf.Program, int]]:
    """The filters in the file's order, each with its link's number; `numbers` has the links' numbers by name."""
    found = []
    for entry in config.filters:
        program = _compiled(config, "filter", entry.link, entry.expression, quotable=entry.quotable)
        if program is not None:
            found.append((program, numbers[entry.link]))
    return found


def rules(config: Config, numbers: Mapping[str, int]) -> list[Rule]:
    """The rules in the file's order; `numbers` as in `filters`."""
    found = []
    for entry in config.rules:
        program = _compiled(config, "rule", entry.head, entry.expression)
        if program is not None:
            found.append(Rule(program, Action[entry.action.name], tuple(numbers[link] for link in entry.links)))
    return found


def _compiled(config: Config, kind: str, head: str, expression: str, *, quotable: bool = True) -> bpf.Program | None:
    link_type = bpf.LinkType.RAW if config.tuntap is DeviceKind.TUN else bpf.LinkType.ETHERNET
    try:
        return bpf.compile(expression, link_type)
    except bpf.FilterError as error:
        shown, why = (expression, error) if quotable else (HIDDEN, "the line has no '='")
        _log.warning("invalid %s %s = %s: %s", kind, head, shown, why)
        return None
