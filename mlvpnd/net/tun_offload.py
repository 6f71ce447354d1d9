"""What a TUN or TAP descriptor exchanges with the kernel besides plain packets.

Whoever opens the interface decides on the vnet header. Whoever holds the descriptor decides on all else: it may come
from the process before, or from an earlier version.
"""

from __future__ import annotations

import contextlib
import fcntl
import struct
from dataclasses import dataclass

from mlvpnd.offload.vnet import VNET_SIZE

from .interface import kind_of

_TUNSETOFFLOAD = 0x400454D0  # linux/if_tun.h
_TUNSETVNETHDRSZ = 0x400454D8
_TUN_F_CSUM = 0x01
_TUN_F_TSO = 0x02 | 0x04  # TSO4, TSO6
_TUN_F_USO = 0x20 | 0x40  # USO4, USO6: Linux 6.2
_STEPS = ((_TUN_F_CSUM | _TUN_F_TSO | _TUN_F_USO), (_TUN_F_CSUM | _TUN_F_TSO))
"""What to ask for, from all to less; to have nothing needs no request."""


@dataclass(frozen=True, slots=True)
class Offloads:
    """What was agreed on with the kernel."""

    vnet_header: bool = False
    """Each read and write begins with a `struct virtio_net_hdr`."""
    layer2: bool = False
    """It is a TAP."""
    tso: bool = False
    """TCP is read in super-packets and with unfinished checksums."""
    uso: bool = False
    """UDP is read in super-packets, and may be written in them."""


def negotiate(descriptor: int) -> Offloads:
    """Asks for as much as the kernel has. Never raises: a descriptor without an interface gets nothing."""
    try:
        kind = kind_of(descriptor)
    except OSError:
        return Offloads()
    if not kind.vnet_header:
        withdraw(descriptor)  # a persistent interface may have offloads of somebody else's
        return Offloads(layer2=kind.tap)
    with contextlib.suppress(OSError):
        # A persistent interface keeps the size that it was given.
        fcntl.ioctl(descriptor, _TUNSETVNETHDRSZ, struct.pack("=i", VNET_SIZE))
    for step in _STEPS:
        if _set_offload(descriptor, step):
            return Offloads(vnet_header=True, layer2=kind.tap, tso=True, uso=bool(step & _TUN_F_USO))
    withdraw(descriptor)
    return Offloads(vnet_header=True, layer2=kind.tap)


def withdraw(descriptor: int) -> None:
    """Asks the kernel for whole packets with right checksums from now on; ignores its refusal."""
    _set_offload(descriptor, 0)


def _set_offload(descriptor: int, offloads: int) -> bool:
    try:
        fcntl.ioctl(descriptor, _TUNSETOFFLOAD, offloads)
    except OSError:
        return False
    return True
