"""The rates of the examples: a copied file whose rates nobody has changed shares traffic out wrongly."""

from __future__ import annotations

from collections.abc import Sequence

from .model import LinkConfig

EXAMPLES = frozenset(
    {
        (2_500_000, 1_250_000),
        (125_000, 100_000),
        (1_250_000, 1_000_000),
        (500_000, 125_000),
        (500_000, 1_250_000),
        (625_000, 250_000),
    }
)
"""Bytes per second of the links, in the order of each file of ours, and of those in mlvpn-routing(7)."""


def examples_of(links: Sequence[LinkConfig]) -> str:
    """The warning for links that have the rates of an example, all and in order; empty: they have not."""
    if tuple(link.bandwidth_upload for link in links) not in EXAMPLES:
        return ""
    return "the rates are those of an example; unless your lines happen to have them, set what each can send"
