"""What a TUN or TAP descriptor says of its interface."""

from __future__ import annotations

import fcntl
import struct

_TUNGETIFF = 0x800454D2  # linux/if_tun.h
_IFREQ = struct.Struct("16sH22x")
_IFF_TAP = 0x0002


def interface_of(descriptor: int) -> tuple[str, bool]:
    """The interface's name, and whether it is a TAP. Raises OSError for a descriptor without an interface."""
    answer = fcntl.ioctl(descriptor, _TUNGETIFF, bytes(_IFREQ.size))
    name, flags = _IFREQ.unpack(answer)
    return name.rstrip(b"\0").decode(errors="replace"), bool(flags & _IFF_TAP)


def matches(pattern: str, name: str) -> bool:
    """Whether an interface may have got its name from `interface_name`, which may be a pattern as `tun%d`."""
    before, percent, after = pattern.partition("%d")
    if not percent:
        return name == pattern
    return name.startswith(before) and name.endswith(after) and name[len(before) : len(name) - len(after)].isdecimal()
