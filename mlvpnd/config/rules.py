"""The `[rules]` sections: what to do with packets that match an expression. Not in upstream.

    [rules]
    prefer adsl1 adsl2   = "udp port 5060"
    pin                  = "tcp port 22"
    duplicate adsl1 sdsl = "udp portrange 10000-20000"
    drop                 = "udp port 1900"

A line is an action, the names of links, `=`, and an expression of pcap-filter(7) as in `[filters]`. Spaces or TABs
separate the words; a name that contains them stands in quotes: `prefer "my line" adsl2 = "icmp"`. There may be several
`[rules]`. Only the first rule of the file that matches a packet acts on it.

| action                  | the packet goes                                                                     |
|-------------------------|-------------------------------------------------------------------------------------|
| `prefer LINK…`          | by the first of these links that can take it, or else by any                        |
| `pin [LINK…]`           | by the link that its flow has used before; the choice is among these, or all, links |
| `duplicate [LINK LINK…]`| by each of these, or all, links; needs `peer = mlvpnd`                              |
| `drop`                  | nowhere                                                                             |

A mistake here is an error at start too, because only this program reads these lines. libpcap's refusal of an expression
comes later: `mlvpnd check-config` tells it, and a start warns of it and leaves the rule out.

A file of C MLVPN may have a link named `rules`: a section with keys of links and no action is this link.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from .expressions import deaf_word_problem
from .model import Config, Peer, RuleAction, RuleConfig
from .problems import HIDDEN, MAX_SHOWN_KEY, Report, Severity, shown, shown_key
from .schema import LINK_KEYS, MAX_LINKS, MAX_RULES, spellings
from .syntax import Entry, spaced, words

_ACTIONS = {action.value: action for action in RuleAction}
_LINK_SPELLINGS = frozenset(spellings(LINK_KEYS))
_ALLOWED = "prefer LINK…, pin [LINK…], duplicate [LINK LINK…], drop"
_EXAMPLE = 'as in prefer LINK = "udp port 5060"'
_LONGEST_SUGGESTED_FOR = 40


def hold_rules(entries: Sequence[Entry]) -> bool:
    """Whether sections named `rules` with these lines hold rules; else they are a link named `rules`."""
    if any(map(begins_with_action, entries)):
        return True
    return not any(entry.key in _LINK_SPELLINGS for entry in entries)


def begins_with_action(entry: Entry) -> bool:
    """Whether the line looks like a rule."""
    return _words(entry)[0] in _ACTIONS


def read_rules(
    entries: Sequence[Entry], names: Mapping[str, str], general: Config | None, report: Report
) -> tuple[RuleConfig, ...]:
    """The rules in the file's order. Without `general` it is unknown whether they may duplicate.

    `names`: those of the links, as they are written and as a message may show them.
    """
    rules: list[RuleConfig] = []
    for entry in entries:
        word, *named = _words(entry)
        action = _ACTIONS.get(word)
        if action is None:
            problem = _unknown_action(word, names, report)
        else:
            problem = _problem(entry, action, named, general) or _links_problem(named, names, report)
        if not problem and len(rules) == MAX_RULES:
            problem = f"too many rules, at most {MAX_RULES}"
        if problem or action is None:
            report.error(entry.line, word if action is not None else _label(entry, word, names, report), problem)
        else:
            rules.append(RuleConfig(action, tuple(named), spaced(entry.raw), entry.line))
    return tuple(rules)


def _words(entry: Entry) -> list[str]:
    return words(entry.head) or [entry.key]


def _label(entry: Entry, word: str, names: Mapping[str, str], report: Report) -> str:
    """A word that is no action, as a message may show it: alone only if it looks like an action or is a link's name."""
    if entry.head and (word in names or _near(word, _ACTIONS, report)):
        return shown_key(word)
    return entry.label


def _unknown_action(word: str, names: Mapping[str, str], report: Report) -> str:
    if word in names:
        return f"is a link, not an action: did you mean prefer {shown(word)}? Allowed: {_ALLOWED}"
    near = _near(word, _ACTIONS, report)
    return f"unknown action{f': did you mean {near}?' if near else ''}; allowed: {_ALLOWED}"


def _problem(entry: Entry, action: RuleAction, named: Sequence[str], general: Config | None) -> str:
    """What is wrong with a rule, apart from its links' names; empty: nothing."""
    if not entry.head:
        return f"there is no '=' between action and expression; allowed: {_EXAMPLE}"
    if not spaced(entry.raw):
        return f"the expression is empty; allowed: one of pcap-filter(7), {_EXAMPLE}"
    if action is RuleAction.PREFER and not named:
        return "no link is named; allowed: one or more links, the best first"
    if action is RuleAction.DROP and named:
        return f"takes no links, but {_shown_name(named[0])} is named; allowed: drop = EXPRESSION"
    if action is RuleAction.DUPLICATE and len(named) == 1:
        return f"only {_shown_name(named[0])} is named; allowed: two or more links, or none for all"
    if action is RuleAction.DUPLICATE and general is not None and general.peer is not Peer.MLVPND:
        return "needs peer = mlvpnd in [general]: C MLVPN would deliver each packet twice"
    return deaf_word_problem(spaced(entry.raw), general.tuntap if general is not None else None)


def _links_problem(named: Sequence[str], names: Mapping[str, str], report: Report) -> str:
    """What is wrong with the links that a rule names; empty: nothing."""
    seen = set()
    for name in named:
        if name not in names:
            near = _near(name, names, report)
            allowed = f": did you mean {near}?" if near else f"; allowed: {_listed(names)}"
            return f"there is no link {_shown_name(name) or 'without a name'}{allowed}"
        if name in seen:
            return f"the link {shown(name)} is named twice; allowed: each once"
        seen.add(name)
    return ""


def _shown_name(name: str) -> str:
    """A name, perhaps not a link's, as a message may show it: like a key, a long one may be a piece of a password."""
    return shown(name) if len(name) <= MAX_SHOWN_KEY else HIDDEN


def shown_names(names: Mapping[str, object]) -> list[str]:
    """The names that a message may suggest: others may be a piece of a wrapped password."""
    return [name for name, label in names.items() if label != HIDDEN]


def _listed(names: Mapping[str, str]) -> str:
    if len(names) > MAX_LINKS:
        return "the file's links"
    return shown(", ".join(names.values())) or "none, because the file has no link"


def _near(word: str, among: Mapping[str, object], report: Report) -> str:
    """The most similar word, or empty. Searched only if that is quick: among few, and while the report has room."""
    if len(among) > MAX_LINKS or not report.has_room(Severity.ERROR):
        return ""
    near = difflib.get_close_matches(word[:_LONGEST_SUGGESTED_FOR], shown_names(among), n=1)
    return shown(near[0]) if near else ""
