"""`mlvpn.conf`: from text to a frozen `Config`, or to a `ConfigError` that names file, line and key.

`file.read` gets the text, `parse` makes the `Config`, `changes.compare` says what a reload must do.
Only the standard library is used: the root helper imports this package too.
"""

from __future__ import annotations

from .model import Config, DataPlane, DeviceKind, FilterConfig, LinkConfig, Mode, Pacing, Peer, RuleAction, RuleConfig
from .parser import ParseResult, parse
from .problems import ConfigError, Problem

__all__ = [
    "Config",
    "ConfigError",
    "DataPlane",
    "DeviceKind",
    "FilterConfig",
    "LinkConfig",
    "Mode",
    "Pacing",
    "ParseResult",
    "Peer",
    "Problem",
    "RuleAction",
    "RuleConfig",
    "parse",
]
