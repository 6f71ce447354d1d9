"""The TUN or TAP interface: python-pytun opens it; its MTU and the size limit of super-packets are set by name."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from dataclasses import dataclass

import pytun

from mlvpnd.config.model import DeviceKind
from mlvpnd.errors import MlvpndError
from mlvpnd.net.interface import interface_of, mtu_of

_SIOCSIFMTU = 0x8922  # linux/sockios.h
_IFREQ = struct.Struct("16si20x")
_TUNGETDEVNETNS = 0x54E3  # linux/if_tun.h
_TUN_DEVICE = os.makedev(10, 200)
_NLMSGHDR = struct.Struct("=IHHII")  # linux/netlink.h: length, type, flags, number, port
_NLM_F_REQUEST, _NLM_F_ACK = 0x1, 0x4
_NLMSGERR = struct.Struct("=i")
_RTM_NEWLINK = 16  # linux/rtnetlink.h
_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change
_RTATTR = struct.Struct("=HHI")  # length, type, a number of 32 bits
_IFLA_GSO_MAX_SIZE = 41  # linux/if_link.h


class InterfaceError(MlvpndError):
    """The kernel refused something about the interface; the text says what and which interface."""


@dataclass(frozen=True, slots=True)
class TunDevice:
    """An open interface. Its receiver must close the descriptor, which removes the interface."""

    descriptor: int
    name: str


def open_tun(name: str, kind: DeviceKind) -> TunDevice:
    """Creates the interface, or attaches to a persistent one; `name` may be a pattern like `tun%d`.

    The descriptor is non-blocking and gives one packet per read. A packet has a vnet header in front if the kernel
    supports it, and no packet-information header.
    """
    flags = pytun.IFF_NO_PI | (pytun.IFF_TUN if kind is DeviceKind.TUN else pytun.IFF_TAP)
    try:
        try:
            device = pytun.TunTapDevice(name=name, flags=flags | pytun.IFF_VNET_HDR)
        except pytun.Error:
            device = pytun.TunTapDevice(name=name, flags=flags)
    except (pytun.Error, ValueError) as error:
        raise InterfaceError(f"cannot create tunnel device {name}: {error}") from None
    # pytun closes its descriptor with its object.
    descriptor = os.dup(device.fileno())
    real_name = device.name
    device.close()
    os.set_blocking(descriptor, False)
    return TunDevice(descriptor, real_name)


def attached(descriptor: int) -> str:
    """The present name of a TUN or TAP descriptor's interface; empty if the interface is gone.

    Raises InterfaceError for any other descriptor, and for an interface of another network namespace. Such an interface
    may be made by somebody who is not root, and its name means nothing here.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != _TUN_DEVICE:
        raise InterfaceError("not a tun or tap interface")
    try:
        name, _is_tap = interface_of(descriptor)
        # Without root we may not ask, and can change nothing here anyway.
        foreign = os.geteuid() == 0 and not _is_in_our_namespace(descriptor)
    except OSError as error:
        if error.errno == errno.EBADFD:
            return ""
        raise InterfaceError(f"not a tun or tap interface: {error.strerror}") from None
    if foreign:
        raise InterfaceError("an interface of another network namespace")
    return name


def _is_in_our_namespace(descriptor: int) -> bool:
    namespace = fcntl.ioctl(descriptor, _TUNGETDEVNETNS)
    try:
        return os.path.samestat(os.fstat(namespace), os.stat("/proc/self/ns/net"))
    finally:
        os.close(namespace)


def get_mtu(name: str) -> int:
    """The interface's MTU in bytes."""
    try:
        return mtu_of(name)
    except OSError as error:
        raise InterfaceError(f"cannot read the MTU of {name}: {error.strerror}") from None


def set_mtu(name: str, mtu: int) -> None:
    """Sets the interface's MTU, unless it has it already."""
    if get_mtu(name) == mtu:
        return
    try:
        # Any socket works; a unix one needs no address family that a sandbox might forbid.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            fcntl.ioctl(sock, _SIOCSIFMTU, _IFREQ.pack(os.fsencode(name), mtu))
    except OSError as error:
        raise InterfaceError(f"cannot set the MTU of {name} to {mtu}: {error.strerror}") from None


def limit_gso(name: str, size: int) -> None:
    """Sets the size, in bytes, of the largest super-packet that the kernel may give us to cut.

    The netlink message is made here, so that nobody waits until pyroute2 is loaded.
    """
    attribute = _RTATTR.pack(_RTATTR.size, _IFLA_GSO_MAX_SIZE, size)
    length = _NLMSGHDR.size + _IFINFOMSG.size + len(attribute)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
            link = _IFINFOMSG.pack(socket.AF_UNSPEC, 0, socket.if_nametoindex(name), 0, 0)
            sock.send(_NLMSGHDR.pack(length, _RTM_NEWLINK, _NLM_F_REQUEST | _NLM_F_ACK, 1, 0) + link + attribute)
            # The kernel has answered when `send` returns.
            (code,) = _NLMSGERR.unpack_from(sock.recv(4096, socket.MSG_DONTWAIT), _NLMSGHDR.size)
    except OSError as error:
        raise InterfaceError(f"cannot set gso_max_size of {name}: {error.strerror or error}") from None
    if code:
        raise InterfaceError(f"cannot set gso_max_size of {name}: {os.strerror(-code)}")
