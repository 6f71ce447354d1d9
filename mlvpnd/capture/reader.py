"""The packets of a capture, read by scapy, and where such a file is broken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import IO

from scapy.config import conf
from scapy.layers import ppp  # noqa: F401  registers PPP and PPPoE, which DSL lines are captured with
from scapy.packet import Packet
from scapy.utils import PcapNgReader, PcapReader

_LARGEST_READ = 1 << 24
"""No sane record of a capture is larger; a hostile length is not worth its memory."""


class DamagedError(Exception):
    """The capture cannot be read, or not to its end."""


class _WatchedFile:
    """A capture's file that notices where a record is cut off, which scapy's readers take for the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.between_records = False
        """Set before a record is read: the file may end here."""
        self.cut = False

    def read(self, size: int) -> bytes:
        data = self._file.read(size) if size <= _LARGEST_READ else b""
        if len(data) < size and (data or not self.between_records):
            self.cut = True
        self.between_records = False
        return data

    def ends_in_a_block(self) -> bool:
        """Whether a pcapng file was read to its end and ends with a whole block, which has its length at both ends."""
        if self._file.read(1):
            return False
        end = self._file.tell()
        self._file.seek(max(end - 4, 0))
        length = self._file.read(4)
        for order in ("little", "big"):
            start = end - int.from_bytes(length, order)  # type: ignore[arg-type]  # a str in the tuple, to mypy
            if start >= 0:
                self._file.seek(start + 4)
                if self._file.read(4) == length:
                    return True
        return False


class _Collector(logging.Handler):
    """Keeps scapy's warnings: its pcapng reader says what is broken there, and then reports a plain end."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def read_capture(path: str) -> Iterator[Packet]:
    """The packets of a pcap or pcapng file, one by one. Raises DamagedError where it cannot go on."""
    conf.debug_dissector = False  # hostile bytes become Raw, whatever the user's scapy is set to
    conf.warning_threshold = 0  # no warning of a reader is dropped for being frequent
    logger = logging.getLogger("scapy")
    collector = _Collector()
    propagate, handlers = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [collector]
    try:
        with open(path, "rb") as file:
            watched = _WatchedFile(file)
            reader = PcapReader(watched)  # type: ignore[arg-type]  # read() is all that it calls
            while not collector.lines:  # at first: a kind of link that scapy does not know
                watched.between_records = True
                try:
                    packet = reader.read_packet()
                except EOFError:
                    break
                yield packet
                collector.lines.clear()  # those about packets, not about the file
            # scapy's pcapng reader passes over blocks without packets, so `cut` is about pcap alone.
            whole = watched.ends_in_a_block() if isinstance(reader, PcapNgReader) else not watched.cut
        if collector.lines:
            raise DamagedError(collector.lines[-1])
        if not whole:
            raise DamagedError("the file ends inside a record")
    except DamagedError:
        raise
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from None
    except Exception as error:  # scapy's readers raise whatever a hostile file leads them to
        raise DamagedError(str(error) or type(error).__name__) from None
    finally:
        logger.propagate, logger.handlers = propagate, handlers
