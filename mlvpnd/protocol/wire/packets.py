"""What each type of datagram carries: one row a type, from which C's table is generated.

A new control packet has its member in `PacketType`, its row here, its handler in `Session`, and its place in
mlvpn-protocol(7): see docs/howto/control-packet.md.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from .constants import AUTH_OK_PLAINTEXT, AUTH_PLAINTEXT
from .wire import PacketType


class Introduces(enum.IntEnum):
    """Whose packets of a type may bring a new flow to a link."""

    NOBODY = 0
    CLIENT = 1
    """To a server."""
    SERVER = 2
    """To a client that has asked."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control packet: what stands in its box, and what that may begin."""

    size: int
    """Bytes of the plaintext."""
    only: bytes | None = None
    """The one plaintext that there is; None: any of that size, whose fields the handler reads."""
    introduces: Introduces = Introduces.NOBODY

    def fits(self, plaintext: bytes) -> bool:
        """Whether an authentic plaintext is one of this type."""
        return len(plaintext) == self.size and self.only in (None, plaintext)


CONTROL: Mapping[int, Control] = {
    PacketType.AUTH: Control(len(AUTH_PLAINTEXT), AUTH_PLAINTEXT, Introduces.CLIENT),
    PacketType.AUTH_OK: Control(len(AUTH_OK_PLAINTEXT), AUTH_OK_PLAINTEXT, Introduces.SERVER),
    PacketType.KEEPALIVE: Control(0),
    PacketType.DISCONNECT: Control(0),
}
"""By type: all but DATA, which carries an inner packet."""
