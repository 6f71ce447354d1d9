"""What the kernel tells any user about interfaces, for the daemon and the helper."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from dataclasses import dataclass

ROUTE_PROTOCOL = 109
"""Protocol number of our routes and rules (`ip route show proto 109`); unused in iproute2's table."""
_TUNGETIFF = 0x800454D2  # linux/if_tun.h
_SIOCGIFMTU = 0x8921  # linux/sockios.h
_SO_BINDTOIFINDEX = 62  # asm-generic/socket.h, Linux 5.0
_FLAGS_REQUEST = struct.Struct("16sH22x")
_NUMBER_REQUEST = struct.Struct("16si20x")
_IFF_TAP = 0x0002
_IFF_PERSIST = 0x0800
_IFF_VNET_HDR = 0x4000


@dataclass(frozen=True, slots=True)
class Kind:
    """What the kernel tells about a TUN or TAP descriptor's interface."""

    name: str
    tap: bool
    vnet_header: bool
    """Each packet is read and written behind a `struct virtio_net_hdr`."""


def kind_of(descriptor: int) -> Kind:
    """The kind of a descriptor's interface.

    Raises OSError for a descriptor without an interface; EBADFD: its interface is gone.
    """
    name, flags = _name_and_flags(descriptor)
    return Kind(os.fsdecode(name.rstrip(b"\0")), bool(flags & _IFF_TAP), bool(flags & _IFF_VNET_HDR))


def _name_and_flags(descriptor: int) -> tuple[bytes, int]:
    name, flags = _FLAGS_REQUEST.unpack(fcntl.ioctl(descriptor, _TUNGETIFF, bytes(_FLAGS_REQUEST.size)))
    return name, flags


def is_persistent(descriptor: int) -> bool:
    """Whether a TUN or TAP descriptor's interface stays when its last descriptor is closed."""
    try:
        return bool(_name_and_flags(descriptor)[1] & _IFF_PERSIST)
    except OSError:
        return False  # it is gone


def interface_of(descriptor: int) -> tuple[str, bool]:
    """The interface's name, and whether it is a TAP. Raises OSError as `kind_of`."""
    kind = kind_of(descriptor)
    return kind.name, kind.tap


def is_gone(descriptor: int) -> bool:
    """Whether the interface of a descriptor was deleted."""
    try:
        interface_of(descriptor)
    except OSError as error:
        return error.errno == errno.EBADFD
    return False


def mtu_of(name: str) -> int:
    """The MTU of an interface of our network namespace, in bytes. Raises OSError."""
    # Any socket works; a unix one needs no address family that a sandbox might forbid.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFMTU, _NUMBER_REQUEST.pack(os.fsencode(name), 0))
    return int(_NUMBER_REQUEST.unpack(answer)[1])


def matches(pattern: str, name: str) -> bool:
    """Whether `interface_name` may have given an interface its name; it may be a pattern like `tun%d`."""
    before, percent, after = pattern.partition("%d")
    if not percent:
        return name == pattern
    return name.startswith(before) and name.endswith(after) and name[len(before) : len(name) - len(after)].isdecimal()


def index_of(name: str) -> int:
    """The number of an interface of our network namespace, by its name or an alternative one; 0: there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def local_end(bindhost: str, binddevice: str) -> tuple[str, str]:
    """The local host and the device of a link now; either may be empty.

    A `bindhost` that is no address, and is the name of an interface that exists, is a device, as for OpenMPTCProuter's
    MLVPN. A `binddevice` of its own goes first.
    """
    if bindhost and index_of(bindhost) and not _is_address(bindhost):
        return "", binddevice or bindhost
    return bindhost, binddevice


def _is_address(text: str) -> bool:
    try:
        socket.getaddrinfo(text, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True


def bound_index(sock: socket.socket) -> int:
    """The number of the interface that a socket is bound to, even if it is gone; 0: to none. Raises OSError."""
    return sock.getsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX)
