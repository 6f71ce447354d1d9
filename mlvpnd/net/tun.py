"""The interface's edge: bursts of packets from and to an open TUN or TAP descriptor.

Where the kernel has it, each read and write has a vnet header, and may be a super-packet: up to 64 KiB of TCP or UDP
that is cut here, and put together here, by what the data plane knows of it. A descriptor without that is served too.
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
"""The largest super-packet with a vnet header, an Ethernet header and a VLAN tag."""
_NO_OFFLOAD = bytes(VNET_SIZE)
"""The vnet header of a packet that is whole and right."""
_AS_IT_IS = bytes(2)
"""What a vnet header begins with where there is nothing to cut and no checksum to finish."""
_NOT_NOW = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)
"""What a read says of an interface that is there: nothing waits, or the kernel has no memory for what does."""
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
        """Packets cut from them."""
        self.coalesced_writes = 0
        """Super-packets written."""
        self.coalesced_segments = 0
        """Packets in them."""
        self.drops = {"down": 0, "full": 0, "refused": 0, "malformed": 0}
        """Packets lost here: the interface is down, has no room or takes one for no packet; `malformed` was read."""
        self.oversize = 0
        """Packets read that are longer than the interface takes: they came past a bridge in super-packets. Single ones
        of that length the bridge drops, and nothing counts those."""
        self.mtu = 0
        """Bytes that the interface takes; 0: not known."""
        self.mss = (0, 0)
        """Bytes of a segment that SYNs over IPv4, and over IPv6, allow at most; 0: what they say."""
        self._use(fd)

    def _use(self, fd: int) -> None:
        offloads = tun_offload.negotiate(fd)
        self._fd = fd
        self.vnet_header = offloads.vnet_header
        self._layer2 = offloads.layer2
        self.tso = offloads.tso
        """Whether the kernel leaves TCP to be cut here."""
        self.uso = offloads.uso
        """The same for UDP."""
        self._coalescer = Coalescer(uso=self.uso, layer2=self._layer2) if self.vnet_header else None

    def take_counts(self, counts: Mapping[str, int]) -> None:
        """Takes the counters, by their names here, of one that reads and writes in the place of this."""
        for name, count in counts.items():
            if name in self.drops:
                self.drops[name] = count
            else:
                setattr(self, name, count)

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def read_batch(self, limit: int) -> list[bytes]:
        """About `limit` packets that wait now: the last read may bring a super-packet.

        Raises OSError (EBADFD) when the interface has been deleted.
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
        """With the SYNs among them lowered; checksums that the kernel left unfinished must be finished by now."""
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
        """Hands packets to the kernel; what it does not take is counted and lost, as on any full interface."""
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
        """Writes a super-packet; if the kernel knows no such thing, its packets, and no more of the kind."""
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
        """Goes on with another descriptor: the interface was deleted and made again."""
        os.close(self._fd)
        self._use(fd)

    def close(self) -> None:
        """The interface goes with its last descriptor; one that stays is left as others expect it, without offloads."""
        tun_offload.withdraw(self._fd)
        os.close(self._fd)
