"""What the operator wants of certain packets: a table of rules, and the memory of which flow is on which link."""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_PINNED_FLOWS = 4096
"""Pinned flows that are remembered; one takes some 250 bytes."""
PIN_IDLE = 300.0
"""Seconds without a packet after which a flow may begin on another link: nothing of it is under way any more."""


class Matcher(Protocol):
    """A compiled expression."""

    def matches(self, packet: bytes, plain: bytes | None = None, /) -> bool:
        """Whether the inner packet is meant. `plain`: it without IPv6's extension headers, where it has some."""


class Action(enum.Enum):
    """What a rule does with its packets."""

    PREFER = "prefer"
    """By the first of the links that can take it, or else by any."""
    PIN = "pin"
    """Each flow by one of the links."""
    DUPLICATE = "duplicate"
    """By each of the links."""
    DROP = "drop"
    """By none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`action` for the packets that `matcher` accepts."""

    matcher: Matcher
    action: Action
    links: tuple[int, ...] = ()
    """Numbers, in the order of preference; empty: all."""


class RuleTable:
    """Rules in order; the first that matches counts."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)

    def match(self, packet: bytes, plain: bytes | None = None) -> Rule | None:
        """The rule for an inner packet, if there is one; `plain` as for matchers."""
        for rule in self.rules:
            if rule.matcher.matches(packet, plain):
                return rule
        return None


class PinTable:
    """Which link each flow is on. The flow that was silent for the longest makes room for a new one."""

    def __init__(self, size: int = MAX_PINNED_FLOWS) -> None:
        self._size = size
        self._pins: OrderedDict[int, tuple[int, float]] = OrderedDict()
        """By the key of the flow: its link, and when its last packet came. The newest is last."""

    def __len__(self) -> int:
        return len(self._pins)

    def link_of(self, flow_key: int, allowed: Sequence[int], choose: Callable[[], int], now: float) -> int:
        """The link for a packet of the flow, at `now` seconds.

        It is the link of the flow's last packet, if that link is in `allowed` and the packet is younger than
        `PIN_IDLE`. Else it is `choose()`, which gives one of `allowed`, and the flow stays there from then on. If
        `choose` raises, nothing has changed.
        """
        pin = self._pins.get(flow_key)
        if pin is not None and now - pin[1] < PIN_IDLE and pin[0] in allowed:
            link = pin[0]
        else:
            link = choose()
        self._pins[flow_key] = (link, now)
        self._pins.move_to_end(flow_key)
        if pin is None:
            self._make_room(now)
        return link

    def _make_room(self, now: float) -> None:
        """Forgets flows that are too many or too old; the one just noted stays."""
        while len(self._pins) > self._size or now - next(iter(self._pins.values()))[1] >= PIN_IDLE:
            self._pins.popitem(last=False)
