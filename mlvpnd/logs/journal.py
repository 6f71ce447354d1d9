"""Writes lines with fields to the journal, and never makes the daemon wait.

libsystemd's own call blocks when journald is stuck. A datagram on a non-blocking socket is lost instead, and counted.
The format is that of systemd.journal-fields(7) and https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

JOURNAL_SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "mlvpnd"
_MAX_VALUE_SIZE = 64 * 1024
"""Bytes of one field. The kernel refuses datagrams above some 200 KB."""


class Event(NamedTuple):
    """An event that an operator can search for by MESSAGE_ID."""

    priority: int
    """syslog's number of the severity."""
    message_id: str


_ERR, _WARNING, _NOTICE, _INFO = 3, 4, 5, 6
EVENTS: Mapping[str, Event] = {
    "link-up": Event(_NOTICE, "5b87e6b6709c4e44aa0cca9fc180ce7d"),
    "link-down": Event(_WARNING, "b7bb5d6344e349f399649939b108deae"),
    "link-disabled": Event(_NOTICE, "a21af73793f846168d6a18fc437124bb"),
    "link-enabled": Event(_NOTICE, "3550330571894dce834d171baad6549c"),
    "no-answer": Event(_WARNING, "3486fd70ef124941becbebe017f1bc20"),
    "link-lossy": Event(_WARNING, "288eb50ad93c481eb54f5721e05bf31f"),
    "link-slow": Event(_WARNING, "91ed0a829b764214bf03eed29e163d7d"),
    "tunnel-up": Event(_NOTICE, "1419453eeb48484bacb64b3682f477b0"),
    "tunnel-down": Event(_WARNING, "bff70a421c684b839fb76c1ad4ff22d4"),
    "fallback-on": Event(_WARNING, "54de269a09eb4898a54291d7ea9ed205"),
    "fallback-off": Event(_NOTICE, "518029d93ccd454ea34dc7d18d4bb911"),
    "reloaded": Event(_NOTICE, "e6731c15cbb8418d83794983de58848b"),
    "reload-failed": Event(_ERR, "cb536d217dae4ead9f1e02b8b81b9bf2"),
    "auth-failed": Event(_WARNING, "6c5a6f692c354676a754dd9fce00fa38"),
    "script-failed": Event(_ERR, "5eb4a1ff3a84445788f590201f2b932f"),
    "state-restored": Event(_INFO, "38086b7b356f45a297e7d9aacac17712"),
    "interface-lost": Event(_WARNING, "244ed7cca53e4fa2a71684df383b6081"),
    "interface-changed": Event(_WARNING, "1a23f265a93940ba84933324a4b6cb95"),
    "interface-given-up": Event(_ERR, "caf53be29515496ebc2a0f4cef77f67d"),
    "helper-refused": Event(_ERR, "52331aabb4174fc288e9e620c6bfa1ba"),
    "helper-lost": Event(_WARNING, "f7ac689cfd1041a59d7718b0cd615adc"),
    "bus-flooded": Event(_WARNING, "187eb3f12908407fb2adf570f732ced2"),
    "clock-stepped": Event(_WARNING, "72b0deb00bfb4bb49db4af48eb918b48"),
    "stood-still": Event(_WARNING, "43d9dcae6afe4c4a81fa8869404401e8"),
}
"""The words of MLVPN_EVENT; the catalog explains each."""

_PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


def fields(event: str, link: str = "", **more: object) -> dict[str, object]:
    """The `extra=` of a logging call for an event; `more` becomes MLVPN_… fields."""
    found = {"EVENT": event, "LINK": link} | {key.upper(): value for key, value in more.items()}
    return {"journal": {key: value for key, value in found.items() if value not in ("", None)}}


def of_link(link: str) -> dict[str, object]:
    """The `extra=` of a logging call about a link that is no event; `mlvpnctl log TUNNEL LINK` finds the line by it."""
    return fields("", link)


def entry(message: str, priority: int, named: Mapping[str, object], identifier: str = IDENTIFIER) -> bytes:
    """One entry in the native protocol; a key's field is named `MLVPN_` and the key."""
    event = EVENTS.get(str(named.get("EVENT", "")))
    lines = {
        "MESSAGE": message,
        "PRIORITY": str(event.priority if event else priority),
        "SYSLOG_IDENTIFIER": identifier,
    }
    if event:
        lines["MESSAGE_ID"] = event.message_id
    lines |= {f"MLVPN_{key}": str(value) for key, value in named.items()}
    return b"".join(_field(key, value) for key, value in lines.items())


def _field(key: str, value: str) -> bytes:
    data = value.encode(errors="replace")[:_MAX_VALUE_SIZE]
    if b"\n" not in data:
        return b"%s=%s\n" % (key.encode(), data)
    return b"%s\n%s%s\n" % (key.encode(), struct.pack("<Q", len(data)), data)


class JournalHandler(logging.Handler):
    """Sends lines to journald. Drops lines that it does not take at once, and later logs how many."""

    def __init__(self, path: str = JOURNAL_SOCKET, identifier: str = IDENTIFIER) -> None:
        super().__init__()
        self._path = path
        self._identifier = identifier
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        named = dict(getattr(record, "journal", {}))
        if self._lost:
            lost = f"{self._lost} lines were lost because the journal did not take them"
            if not self._sent(entry(lost, 4, {}, self._identifier)):
                self._lost += 1
                return
            self._lost = 0
        if not self._sent(entry(text, _PRIORITY.get(record.levelno, 6), named, self._identifier)):
            self._lost += 1

    def _sent(self, data: bytes) -> bool:
        try:
            self._socket.sendto(data, self._path)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()
        super().close()
