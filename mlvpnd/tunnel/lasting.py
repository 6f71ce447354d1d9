"""What outlasts a stop of the tunnel: links that an operator disabled, the last good addresses of names, counters.

It stands in one file, which the helper's stubs read and write. What an operator asks and a new address are written at
once, counters now and then and at a stop. The configuration goes first: what it does not name is forgotten.

The session and the sockets of a restart are not here but in systemd's store (`restart.py`): they end with a stop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Sequence
from operator import add, sub
from typing import Any, NamedTuple, Protocol, Self

from mlvpnd.config.model import LinkConfig
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.state_file import MAX_SIZE
from mlvpnd.logs.log import logger
from mlvpnd.logs.tasks import watched
from mlvpnd.net.resolve import Resolved, numeric

VERSION = 1
"""Version of the file's form. A file of a higher one is of a newer mlvpnd, and is left alone."""
SAVE_INTERVAL = 600.0
"""Seconds between two saves of counters. After a crash, they go on from the last one."""
LAST_SAVE_LIMIT = 2.0
"""Seconds that a stop waits for the disk."""
MAX_ADDRESSES = 16
"""Addresses of a name that are kept; a link tries one each few seconds."""
_LARGEST = (1 << 63) - 1
"""The largest counter that is believed."""
_TUNNEL, _LINKS, _VERSION = "tunnel", "links", "version"
_DISABLED, _REMOTE, _COUNTERS = "disabled", "remote", "counters"

_log = logger()


class Store(Protocol):
    """Where the file is: `helper.client.HelperClient`. Both raise MlvpndError."""

    async def read_state(self) -> bytes | None: ...

    async def write_state(self, text: bytes) -> None: ...


class Counters(NamedTuple):
    """What is counted of a link, or of the tunnel's interface."""

    sent_packets: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    received_bytes: int = 0
    disconnects: int = 0

    def plus(self, other: Counters) -> Counters:
        """The sums."""
        return Counters(*map(add, self, other))

    def minus(self, other: Counters) -> Counters:
        """The differences."""
        return Counters(*map(sub, self, other))


class Known(NamedTuple):
    """Addresses of a peer, and when they were last good, in Unix seconds."""

    addresses: tuple[Resolved, ...]
    at: float


class Newer(Exception):
    """The file is of a newer mlvpnd."""


class Lasting:
    """What lasts of one tunnel. Without a store it lasts as long as the process."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._is_left_alone = False
        """The file could not be read, or is of a newer mlvpnd: it is not written unless an operator has it emptied."""
        self._document: dict[str, Any] = {_VERSION: VERSION, _LINKS: {}}
        """The file, with members that a later program of the same version may have added."""
        self._base: dict[str, Counters] = {}
        """By link, or "" for the interface: what was counted before this process, or before the link began anew."""
        self._written = b""
        self._failing = False
        self._saving: asyncio.Task[None] | None = None
        self._is_due = False
        self._note: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def load(cls, store: Store) -> Self:
        """What an earlier process has left. Why it cannot be used is in the log."""
        found = cls(store)
        try:
            text = await store.read_state()
        except MlvpndError as error:
            _log.warning("nothing outlasts a stop: %s", error)
            found._is_left_alone = True
            return found
        if text is None:
            return found
        try:
            document = parse(text)
        except Newer:
            _log.warning("the state file is of a newer version: it is left alone, and nothing new outlasts a stop")
            found._is_left_alone = True
        except ValueError as error:
            _log.warning("the state file is broken and begins anew: %s", error)
        else:
            found._document, found._written = document, text
            found._base = {name: _counters(one) for name, one in document[_LINKS].items()}
            found._base[""] = _counters(document.get(_TUNNEL, {}))
        return found

    # Life.

    def begin(self, links: Collection[str], note: Callable[[], None]) -> None:
        """Saves now and then from now on; `note` is called before. Links that the file does not name are forgotten."""
        for name in [name for name in self._links if name not in links]:
            self.drop(name)
        self._note = note
        self._timer = asyncio.get_running_loop().call_later(SAVE_INTERVAL, self._tick)

    def _tick(self) -> None:
        self._note()
        self._save_soon()
        self._timer = asyncio.get_running_loop().call_later(SAVE_INTERVAL, self._tick)

    async def close(self) -> None:
        """Saves for the last time; returns after `LAST_SAVE_LIMIT` at the latest."""
        if self._timer is not None:
            self._timer.cancel()
        self._save_soon()
        if self._saving is not None:
            await asyncio.wait([self._saving], timeout=LAST_SAVE_LIMIT)

    def _save_soon(self) -> None:
        self._is_due = True
        if self._store is not None and self._saving is None and not self._is_left_alone:
            self._saving = watched(asyncio.get_running_loop().create_task(self._save(self._store), name="state"))

    async def _save(self, store: Store) -> None:
        try:
            while self._is_due:
                self._is_due = False
                text = json.dumps(self._document, separators=(",", ":")).encode()
                if text != self._written:
                    await self._write(store, text)
        finally:
            self._saving = None

    async def _write(self, store: Store, text: bytes) -> None:
        try:
            await store.write_state(text)
        except MlvpndError as error:  # the tunnel goes on
            if not self._failing:
                _log.warning("what shall outlast a stop cannot be written (it is tried again): %s", error)
            self._failing = True
            return
        if self._failing:
            _log.info("what shall outlast a stop is written again")
        self._written, self._failing = text, False

    # Links.

    @property
    def _links(self) -> dict[str, dict[str, Any]]:
        links: dict[str, dict[str, Any]] = self._document[_LINKS]
        return links

    def _link(self, name: str) -> dict[str, Any]:
        return self._links.setdefault(name, {})

    def disabled(self, link: str) -> bool:
        """Whether an operator has disabled a link."""
        return bool(self._links.get(link, {}).get(_DISABLED, False))

    def disable(self, link: str, *, disabled: bool) -> None:
        """An operator disables or enables a link."""
        self._link(link)[_DISABLED] = disabled
        self._save_soon()

    def known(self, link: LinkConfig) -> Known | None:
        """The addresses at which a link's peer was last, if the file still names it so."""
        remote = self._links.get(link.name, {}).get(_REMOTE)
        if remote is None or (remote["host"], remote["port"]) != (link.remotehost, link.remoteport):
            return None
        return Known(_resolved(remote), remote["at"])

    def learn(self, link: LinkConfig, addresses: Sequence[Resolved]) -> None:
        """The peer of a link is up at the first of these addresses. An address in the file needs no memory."""
        if not addresses or numeric(link.remotehost, link.remoteport) is not None:
            return
        pairs = [list(address[:2]) for _, address in addresses[:MAX_ADDRESSES]]
        before = self._links.get(link.name, {}).get(_REMOTE, {})
        remote = {"host": link.remotehost, "port": link.remoteport, "addresses": pairs, "at": int(time.time())}
        self._link(link.name)[_REMOTE] = remote
        if any(before.get(key) != remote[key] for key in ("host", "port", "addresses")):
            self._save_soon()

    def drop(self, link: str) -> None:
        """A link is no longer in the configuration."""
        self._links.pop(link, None)
        self._base.pop(link, None)
        self._save_soon()

    # Counters.

    def total(self, link: str, counted: Counters) -> Counters:
        """All that was counted; `counted` is by this process, since the link began. The interface is the link ""."""
        return self._base.get(link, Counters()).plus(counted)

    def note(self, link: str, counted: Counters) -> None:
        """Notes what has been counted, for the next save."""
        at = self._document.setdefault(_TUNNEL, {}) if not link else self._link(link)
        at[_COUNTERS] = self.total(link, counted)._asdict()

    def restart(self, link: str, counted: Counters) -> None:
        """A link begins to count anew, and its total goes on."""
        self._base[link] = self.total(link, counted)

    def forget(self, counted: dict[str, Counters]) -> None:
        """Forgets everything. Totals begin at 0, though this process has `counted`, by link, what it has counted."""
        self._document = {_VERSION: VERSION, _LINKS: {}}
        self._base = {name: Counters().minus(one) for name, one in counted.items()}
        self._is_left_alone = False
        self._save_soon()


def parse(text: bytes) -> dict[str, Any]:
    """The file's document, in which all that `Lasting` reads has its type. Raises Newer, or ValueError saying why."""
    if len(text) > MAX_SIZE:
        raise ValueError(f"more than {MAX_SIZE} bytes")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None
    if not isinstance(document, dict):
        raise ValueError("no object")
    version = document.get(_VERSION)
    if type(version) is not int or version < 1:
        raise ValueError(_VERSION)
    if version > VERSION:
        raise Newer
    _need(isinstance(document.get(_LINKS), dict), _LINKS)
    _check_counters(document.get(_TUNNEL, {}), _TUNNEL)
    for name, link in document[_LINKS].items():
        _check_counters(link, name)
        _need(isinstance(link.get(_DISABLED, False), bool), f"{name}: {_DISABLED}")
        _need(_is_remote(link.get(_REMOTE)), f"{name}: {_REMOTE}")
    return document


def _need(condition: bool, what: str) -> None:  # noqa: FBT001  (the condition is what is asked)
    if not condition:
        raise ValueError(what)


def _check_counters(holder: object, name: str) -> None:
    found = holder.get(_COUNTERS, {}) if isinstance(holder, dict) else None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: {_COUNTERS}")
    right = (type(found.get(key, 0)) is int and 0 <= found.get(key, 0) <= _LARGEST for key in Counters._fields)
    _need(all(right), f"{name}: {_COUNTERS}")


def _is_remote(remote: object) -> bool:
    if remote is None:
        return True
    if not isinstance(remote, dict):
        return False
    texts = all(isinstance(remote.get(key), str) for key in ("host", "port"))
    pairs, at = remote.get("addresses"), remote.get("at")
    if not texts or not isinstance(pairs, list) or type(at) is not int or not 0 <= at < 1 << 40:
        return False
    return len(pairs) > 0 and all(map(_is_address, pairs)) and len(_resolved(remote)) == len(pairs)


def _is_address(pair: object) -> bool:
    return isinstance(pair, list) and [*map(type, pair)] == [str, int] and 0 < pair[1] < 1 << 16


def _resolved(remote: dict[str, Any]) -> tuple[Resolved, ...]:
    found = [numeric(host, str(port)) if host else None for host, port in remote["addresses"][:MAX_ADDRESSES]]
    return tuple(one for some in found if some for one in some[:1])


def _counters(holder: dict[str, Any]) -> Counters:
    found = holder.get(_COUNTERS, {})
    return Counters(*(found.get(key, 0) for key in Counters._fields))
