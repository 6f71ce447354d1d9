"""What outlives the process: descriptors in systemd's store, one of them the session's memory.

The memory has two places, written in turn, each with a checksum. So a process that is killed while it writes one
leaves the other whole.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import time
import zlib
from typing import Any

from mlvpnd.logs.log import logger

from . import notify
from .given import Service

SAVE_INTERVAL = 1.0
"""Seconds between two saves. After a kill, packets that came since the last save can be replayed once."""
PLACE_SIZE = 4 << 20
"""Bytes of one place. 1024 flows with full windows take 0.7 MB."""
_HEADER = struct.Struct("<8sQdII")
_MAGIC = b"mlvpnd 1"

_log = logger()


class Keeper:
    """Keeps descriptors and memory; `service` says what was kept before."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._turn = 0
        self._failing = False
        self._stored: set[str] = set()
        kept = service.take(notify.SESSION)
        self._was_kept = kept is not None
        if kept is None:
            kept = os.memfd_create("mlvpn-session", os.MFD_CLOEXEC)
            os.ftruncate(kept, 2 * PLACE_SIZE)
            service.notifier.store(notify.SESSION, kept)
        self._memory = kept

    def load(self) -> tuple[dict[str, Any], float] | None:
        """What was saved last, and how many seconds ago; None if nothing usable was saved."""
        if not self._was_kept:
            return None
        best: tuple[int, float, bytes] | None = None
        for place in range(2):
            found = self._read(place)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
        if best is None:
            return None
        self._turn = best[0]
        try:
            memory = json.loads(best[2])
        except ValueError:
            return None
        return (memory, max(0.0, time.monotonic() - best[1])) if isinstance(memory, dict) else None

    def _read(self, place: int) -> tuple[int, float, bytes] | None:
        try:
            data = os.pread(self._memory, PLACE_SIZE, place * PLACE_SIZE)
        except OSError:
            return None
        if len(data) < _HEADER.size:
            return None
        magic, turn, at, size, checksum = _HEADER.unpack_from(data)
        text = data[_HEADER.size : _HEADER.size + size]
        if magic != _MAGIC or len(text) != size or zlib.crc32(text) != checksum:
            return None
        return turn, at, text

    def save(self, memory: dict[str, Any]) -> None:
        """Saves `memory` over the older of the two saves."""
        text = json.dumps(memory, separators=(",", ":")).encode()
        turn = self._turn + 1
        data = _HEADER.pack(_MAGIC, turn, time.monotonic(), len(text), zlib.crc32(text)) + text
        try:
            if len(data) > PLACE_SIZE:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            if os.pwrite(self._memory, data, turn % 2 * PLACE_SIZE) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:  # the tunnel goes on; the next save uses the same place, the other is still good
            if not self._failing:
                _log.warning("the session cannot be kept for a restart: %s", error.strerror)
            self._failing = True
        else:
            self._turn, self._failing = turn, False

    def store(self, name: str, descriptor: int) -> None:
        """Stores a descriptor under a name."""
        self._stored.add(name)
        self._service.notifier.store(name, descriptor)

    def forget(self, name: str) -> None:
        """Removes from the store what this process stored under a name."""
        if name in self._stored:
            self._stored.remove(name)
            self._service.notifier.forget(name)

    def forget_inherited(self, name: str) -> None:
        """Removes from the store what an earlier process stored under a name."""
        self._service.notifier.forget(name)
