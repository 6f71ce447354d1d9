"""What an operator may ask of a running daemon and be told, behind the bus and the control sockets alike.

Faces (`bus/`, `status_socket.py`) parse, authorise and render; they know nothing of the protocol or the links' sockets.
They call `Operator`, are told a `Notice`, and show `status.TunnelStatus`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlvpnd.errors import MlvpndError

from .status import LinkState, TunnelStatus


class NoSuchLink(MlvpndError):
    """No link of the running configuration has that name."""


class LinkDisabled(MlvpndError):
    """The link is out of use until it is enabled."""


class ConfigUnreadable(MlvpndError):
    """The configuration file cannot be read: missing, not permitted, too large."""


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """A link's state changed; `reason` is a word of the bus's `LinkDown`."""

    link: str
    before: LinkState
    after: LinkState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LinkPropertiesChanged:
    """Something else about a link changed that nobody polls: addresses, weight, tolerances, whether it is enabled."""

    link: str


@dataclass(frozen=True, slots=True)
class LinksChanged:
    """A reload added or removed links; each list is in its configuration's order."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TunnelChanged:
    """The tunnel's state changed; the states are words of `status.TunnelStatus.state`."""

    before: str
    after: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A reload ended, whoever asked for it. `message` says what is wrong with the file, or is empty."""

    ok: bool
    message: str = ""


Notice = LinkChanged | LinkPropertiesChanged | LinksChanged | TunnelChanged | Reloaded


class Operator(Protocol):
    """The calls of a face. Times, units and words are those of `status`."""

    def snapshot(self) -> TunnelStatus:
        """The tunnel's status now."""

    def subscribe(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Has `listener` called soon after each change, in order; returns a function that ends it."""

    async def reload(self) -> Sequence[str]:
        """Reads the file again and applies it, one reload after the other. Returns warnings about it.

        Raises `config.ConfigError`, ConfigUnreadable, or another MlvpndError if the helper failed. In each case nothing
        has changed.
        """

    def reconnect(self, link: str) -> None:
        """Drops a link and authenticates it again. Raises NoSuchLink, or LinkDisabled."""

    def set_enabled(self, link: str, *, enabled: bool) -> None:
        """Takes a link out of use at both ends, or back in; this outlasts a restart. Raises NoSuchLink."""

    def set_bandwidth_upload(self, link: str, bandwidth: int) -> None:
        """Sets a link's weight, in bytes per second up to MAX_BANDWIDTH; a reload restores the file's.

        Raises NoSuchLink.
        """

    def forget(self) -> None:
        """Forgets what outlasts a stop: enables all links, and counters begin at 0."""

    def log_target(self) -> str:
        """Where log lines go now: `journal` or `console`."""

    def set_log_target(self, target: str) -> None:
        """Sends log lines to `target` from now on: `journal` or `console`."""


def log_level() -> int:
    """The lowest level that is logged, as in the logging module."""
    return logging.getLogger("mlvpnd").level


def set_log_level(level: int) -> None:
    """Sets the lowest level that is logged."""
    logging.getLogger("mlvpnd").setLevel(level)
