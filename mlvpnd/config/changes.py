"""Compares two configurations: what a reload must do, by each key's `ReloadEffect`."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .model import Config, LinkConfig
from .schema import GENERAL_KEYS, LINK_KEYS, ReloadEffect


@dataclass(frozen=True, slots=True)
class LinkChange:
    """A link of both configurations, and the keys whose values differ, by their names in the schema."""

    old: LinkConfig
    new: LinkConfig
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs. A link that is not the same in both configurations is in exactly one of the first four."""

    added: tuple[LinkConfig, ...]
    """In the new file's order."""
    removed: tuple[LinkConfig, ...]
    """In the old file's order."""
    restarted: tuple[LinkChange, ...]
    """Links whose sockets must be made anew, in the new file's order. Without keys: because the mode changed."""
    updated: tuple[LinkChange, ...]
    """Links that stay up with new values, in the new file's order."""
    at_once: tuple[str, ...]
    """Keys of `[general]` that take effect at once."""
    interface: tuple[str, ...]
    """Keys of `[general]` that the helper sets on the interface, or that the status command gets at its next run."""
    not_applied: tuple[str, ...]
    """Keys of `[general]` whose old values stay in force until the tunnel is restarted."""
    mode: bool
    """Whether a client became a server, or the reverse."""
    filters: bool
    """Whether the filters differ, in expressions or order."""
    rules: bool
    """Whether the rules differ."""

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return any(getattr(self, one.name) for one in fields(self))


def restarting_values(link: LinkConfig) -> dict[str, object]:
    """The values that a link cannot change while it stays up, by the names of their keys."""
    return {key.name: getattr(link, key.field) for key in LINK_KEYS if key.reload is ReloadEffect.LINK_RESTART}


def compare(old: Config, new: Config) -> Changes:
    """The changes from `old` to `new`. The links' order and places in the file do not count."""
    general = [key for key in GENERAL_KEYS if getattr(old, key.field) != getattr(new, key.field)]
    restart_all = any(key.reload is ReloadEffect.ALL_LINKS_RESTART for key in general)
    before = {link.name: link for link in old.links}
    after = {link.name for link in new.links}
    restarted: list[LinkChange] = []
    updated: list[LinkChange] = []
    for link in new.links:
        earlier = before.get(link.name)
        if earlier is None:
            continue
        keys = [key for key in LINK_KEYS if getattr(earlier, key.field) != getattr(link, key.field)]
        change = LinkChange(earlier, link, tuple(key.name for key in keys))
        if restart_all or any(key.reload is ReloadEffect.LINK_RESTART for key in keys):
            restarted.append(change)
        elif keys:
            updated.append(change)

    def with_effect(effect: ReloadEffect) -> tuple[str, ...]:
        return tuple(key.name for key in general if key.reload is effect)

    return Changes(
        added=tuple(link for link in new.links if link.name not in before),
        removed=tuple(link for link in old.links if link.name not in after),
        restarted=tuple(restarted),
        updated=tuple(updated),
        at_once=with_effect(ReloadEffect.AT_ONCE),
        interface=with_effect(ReloadEffect.INTERFACE),
        not_applied=with_effect(ReloadEffect.NOT_APPLIED),
        mode=restart_all,
        filters=old.filters != new.filters,
        rules=old.rules != new.rules,
    )
