"""What an operator may ask of a running daemon, and be told: the one face behind the bus and the control sockets.

Faces (`bus/`, `status_socket.py`) parse, authorise and render; they know nothing of protocol or sockets. `Operator` is
what they call, a `Notice` is what they are told, `status.TunnelStatus` is what they show.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mlvpnd.errors import MlvpndError

from .status import LinkState, TunnelStatus

MAX_BANDWIDTH = (1 << 32) - 1
"""Bytes per second, as in the configuration file."""


class NoSuchLink(MlvpndError):
    """No link of the running configuration has that name."""


class ConfigUnreadable(MlvpndError):
    """The configuration file cannot be had: missing, not permitted, too large."""


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """A link's state changed; `reason` says why it is down: `timeout`, `disconnect`, `config`, `error` or `uplink`."""

    link: str
    before: LinkState
    after: LinkState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LinkPropertiesChanged:
    """Something else about a link changed that is not polled: addresses, weight, tolerances, whether it is enabled."""

    link: str


@dataclass(frozen=True, slots=True)
class LinksChanged:
    """A reload added or removed links; they were or are in the configuration's order."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TunnelChanged:
    """The tunnel's state changed; the words are those of `status.TunnelStatus.state`."""

    before: str
    after: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A reload ended, whoever asked for it; `message` is empty or what is wrong with the file."""

    ok: bool
    message: str = ""


Notice = LinkChanged | LinkPropertiesChanged | LinksChanged | TunnelChanged | Reloaded


class Operator(Protocol):
    """What a face calls. Times, units and words are those of `status`."""

    def snapshot(self) -> TunnelStatus:
        """Everything as it is now."""

    def subscribe(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Has `listener` called, soon after each change and in order; returns what ends that."""

    async def reload(self) -> None:
        """Reads the file again and applies it, one reload after the other.

        Raises `config.ConfigError`, ConfigUnreadable, or another MlvpndError where the helper failed; then nothing
        changed.
        """

    def reconnect(self, link: str) -> None:
        """Drops a link and authenticates it again. Raises NoSuchLink."""

    def set_enabled(self, link: str, *, enabled: bool) -> None:
        """Takes a link out of use, drained first, or back in; until the next start. Raises NoSuchLink."""

    def set_bandwidth_upload(self, link: str, bandwidth: int) -> None:
        """Sets a link's weight, in bytes per second up to MAX_BANDWIDTH; a reload restores the file's.

        Raises NoSuchLink.
        """

    def log_target(self) -> str:
        """Where lines go now: `journal` or `console`."""

    def set_log_target(self, target: str) -> None:
        """Sends lines there from now on; `target` is one of these words."""


def log_level() -> int:
    """The level from which lines are logged, as the logging module counts."""
    return logging.getLogger("mlvpnd").level


def set_log_level(level: int) -> None:
    """Sets it."""
    logging.getLogger("mlvpnd").setLevel(level)
