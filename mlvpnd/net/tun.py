"""The interface's edge: bursts of packets from and to an open TUN or TAP descriptor.

If the kernel supports it, each read and write has a vnet header and may be a super-packet: up to 64 KiB of TCP or UDP.
Super-packets read are cut here; those written are joined here. A descriptor without vnet headers is served too.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence

from mlvpnd.offload.coalesce import Coalescer
from mlvpnd.offload.mss import clamp_all
from mlvpnd.offload.segment import segment
from mlvpnd.offload.vnet import ETHERNET_HEADER, GSO_UDP, VLAN_TAG, VNET, VNET_SIZE

from . import tun_offload

_READ_SIZE = (1 << 16) + 64
"""Bytes. Room for the largest super-packet with vnet header, Ethernet header and VLAN tag."""
_NO_OFFLOAD = bytes(VNET_SIZE)
"""The vnet header of a single packet with right checksums."""
_AS_IT_IS = bytes(2)
"""Start of a vnet header with nothing to cut and no checksum to finish."""
_NOT_NOW = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)
"""Read errors of an interface that still exists: nothing waits, or the kernel has no memory for what waits."""
_CAUSES = {errno.EIO: "down", errno.EAGAIN: "full", errno.ENOBUFS: "full", errno.ENOMEM: "full"}


class TunDevice:
    """Owns a non-blocking descriptor that was opened without packet information (IFF_NO_PI)."""

    def __init__(self, fd: int) -> None:
        self.packets_read = 0
        """This and the next three count packets as links carry them."""
        self.packets_written = 0
        self.bytes_read = 0
        self.bytes_written = 0
        self.tso_reads = 0
        """Super-packets read."""
        self.tso_segments = 0
        """Packets cut from super-packets."""
        self.coalesced_writes = 0
        """Super-packets written."""
        self.coalesced_segments = 0
        """Packets in these super-packets."""
        self.drops = {"down": 0, "full": 0, "refused": 0, "malformed": 0}
        """Packets lost at a write: the interface is down, is full, or refuses the packet. `malformed`: at a read."""
        self.oversize = 0
        """Packets read that exceed the MTU: in super-packets they pass a bridge. Single packets of that length the
        bridge drops, and nothing counts them."""
        self.mtu = 0
        """Bytes; 0: unknown."""
        self.mss = (0, 0)
        """Bytes. Largest segment that SYNs may allow, over IPv4 and over IPv6; 0: no limit."""
        self._use(fd)

    def _use(self, fd: int) -> None:
        offloads = tun_offload.negotiate(fd)
        self._fd = fd
        self.vnet_header = offloads.vnet_header
        self._layer2 = offloads.layer2
        self.tso = offloads.tso
        """Whether the kernel gives TCP in super-packets, to be cut here."""
        self.uso = offloads.uso
        """The same for UDP."""
        self._coalescer = Coalescer(uso=self.uso, layer2=self._layer2) if self.vnet_header else None

    def take_counts(self, counts: Mapping[str, int]) -> None:
        """Takes the counters of the native loop, which reads and writes this descriptor; by their names here."""
        for name, count in counts.items():
            if name in self.drops:
                self.drops[name] = count
            else:
                setattr(self, name, count)

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def read_batch(self, limit: int) -> list[bytes]:
        """About `limit` waiting packets: the last read may bring a super-packet.

        Raises OSError (EBADFD) if the interface was deleted.
        """
        packets: list[bytes] = []
        try:
            if self.vnet_header:
                self._read_frames(packets, limit)
            else:
                while len(packets) < limit:
                    packets.append(os.read(self._fd, _READ_SIZE))
        except OSError as error:
            if error.errno not in _NOT_NOW:
                raise
        self.packets_read += len(packets)
        self.bytes_read += sum(map(len, packets))
        longest = self.mtu + (ETHERNET_HEADER + VLAN_TAG if self._layer2 else 0)
        if self.mtu and max(map(len, packets), default=0) > longest:
            self.oversize += sum(len(packet) > longest for packet in packets)
        return list(self._clamped(packets)) if any(self.mss) else packets

    def _clamped(self, packets: Sequence[bytes]) -> Sequence[bytes]:
        """The packets with lowered SYNs. Checksums that the kernel left unfinished must be finished before."""
        return clamp_all(packets, *self.mss, layer2=self._layer2)

    def _read_frames(self, packets: list[bytes], limit: int) -> None:
        for _ in range(limit):
            frame = os.read(self._fd, _READ_SIZE)
            if frame.startswith(_AS_IT_IS):
                packets.append(frame[VNET_SIZE:])
            else:
                found = segment(frame, layer2=self._layer2)
                if len(found) > 1:
                    self.tso_reads += 1
                    self.tso_segments += len(found)
                elif not found:
                    self.drops["malformed"] += 1
                packets += found
            if len(packets) >= limit:
                return

    def write_batch(self, packets: Sequence[bytes]) -> None:
        """Writes packets to the kernel. What it does not take is counted and lost, as on any full interface."""
        if any(self.mss):
            packets = self._clamped(packets)
        if self._coalescer is not None and len(packets) > 1:
            for frame in self._coalescer.coalesce(packets):
                if frame[1]:
                    self._write_run(frame)
                else:
                    self._write(frame, len(frame) - VNET_SIZE)
        elif self.vnet_header:
            for packet in packets:
                self._write(_NO_OFFLOAD + packet, len(packet))
        else:
            for packet in packets:
                self._write(packet, len(packet))

    def _write(self, frame: bytes, size: int) -> None:
        """Writes one packet of `size` bytes."""
        try:
            os.write(self._fd, frame)
        except OSError as error:
            self._lose(error, 1)
        else:
            self.packets_written += 1
            self.bytes_written += size

    def _write_run(self, frame: bytes) -> None:
        """Writes a super-packet. If the kernel does not know its kind, writes its packets, and joins no more of it."""
        _, kind, headers, segment_size, _, _ = VNET.unpack_from(frame)
        payload = len(frame) - VNET_SIZE - headers
        count = -(-payload // segment_size)
        try:
            os.write(self._fd, frame)
        except OSError as error:
            if error.errno != errno.EINVAL:
                self._lose(error, count)
                return
            self._coalescer = Coalescer(uso=False, layer2=self._layer2) if kind == GSO_UDP else None
            for packet in segment(frame, layer2=self._layer2):
                self._write(_NO_OFFLOAD + packet, len(packet))
        else:
            self.coalesced_writes += 1
            self.coalesced_segments += count
            self.packets_written += count
            self.bytes_written += payload + count * headers

    def _lose(self, error: OSError, count: int) -> None:
        self.drops[_CAUSES.get(error.errno or 0, "refused")] += count

    def replace(self, fd: int) -> None:
        """Continues with another descriptor: the interface was deleted and made again."""
        os.close(self._fd)
        self._use(fd)

    def close(self) -> None:
        """Closes the descriptor, with which the interface goes. If it stays, it has no offloads, as others expect."""
        tun_offload.withdraw(self._fd)
        os.close(self._fd)
