"""A message bus's address, and how it accepts a process; for callers that block and for those that do not."""

from __future__ import annotations

import os
from collections.abc import Iterator

SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
ACCEPTED = b"OK "
"""Start of the line with which a bus answers `introduction` if it accepts the process."""
BEGIN = b"BEGIN\r\n"
"""Sent after that; messages follow."""


def system_bus_address() -> str:
    """The system bus's address for this process."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM_BUS


def introduction() -> bytes:
    """The specification's EXTERNAL: the kernel tells the bus who we are."""
    identity = str(os.geteuid()).encode().hex()
    return f"\0AUTH EXTERNAL {identity}\r\n".encode()


def socket_paths(address: str) -> Iterator[str]:
    """The unix sockets in an address, in its order; other transports are left out."""
    for one in address.split(";"):
        transport, _, options = one.partition(":")
        values = dict(option.partition("=")[::2] for option in options.split(","))
        if transport == "unix" and "path" in values:
            yield _unquoted(values["path"])
        elif transport == "unix" and "abstract" in values:
            yield "\0" + _unquoted(values["abstract"])


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    import urllib.parse  # the import takes longer than a call on the bus

    return urllib.parse.unquote(text)
