"""The interface's edge: bursts of packets from and to an open TUN or TAP descriptor."""

from __future__ import annotations

import os
from collections.abc import Sequence

_READ_SIZE = 1 << 16


class TunDevice:
    """Owns a non-blocking descriptor that was opened without packet information (IFF_NO_PI)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.packets_read = 0
        self.packets_written = 0
        self.bytes_read = 0
        self.bytes_written = 0
        self.write_errors = 0
        """Packets that the kernel refused: the interface is down, its queue is full, or it is no packet."""

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def read_batch(self, limit: int) -> list[bytes]:
        """Up to `limit` packets that wait now.

        Raises OSError (EBADFD) when the interface has been deleted.
        """
        packets: list[bytes] = []
        try:
            while len(packets) < limit:
                packets.append(os.read(self._fd, _READ_SIZE))
        except BlockingIOError:
            pass
        self.packets_read += len(packets)
        self.bytes_read += sum(map(len, packets))
        return packets

    def write_batch(self, packets: Sequence[bytes]) -> None:
        """Hands packets to the kernel; what it does not take is counted and lost, as on any full interface."""
        for packet in packets:
            try:
                os.write(self._fd, packet)
            except OSError:
                self.write_errors += 1
            else:
                self.packets_written += 1
                self.bytes_written += len(packet)

    def replace(self, fd: int) -> None:
        """Goes on with another descriptor: the interface was deleted and made again."""
        os.close(self._fd)
        self._fd = fd

    def close(self) -> None:
        """The interface goes with its last descriptor."""
        os.close(self._fd)
