"""The session and the sockets: taken over from the process before, and kept for the process after."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlvpnd.config.changes import restarting_values
from mlvpnd.config.model import Config, LinkConfig, Mode
from mlvpnd.logs.journal import fields, of_link
from mlvpnd.logs.log import logger
from mlvpnd.protocol.links.resume import recall, remember
from mlvpnd.protocol.links.session import Session
from mlvpnd.systemd.fd_store import SAVE_INTERVAL, Keeper
from mlvpnd.systemd.inherited_sockets import Sockets
from mlvpnd.systemd.notify import link_name

from .link_opener import LinkOpener

_CONFIGURED = "links"
"""Key of the memory: what the configuration said of each link."""
_log = logger()


class Continuity:
    """Takes over and keeps. By hand there is neither keeper nor socket: nothing is found and nothing kept."""

    def __init__(self, keeper: Keeper | None = None, sockets: Sockets | None = None) -> None:
        self._keeper = keeper
        self._sockets = sockets
        self._foreign: set[str] = set()
        """Links whose sockets systemd's socket unit holds."""
        self._loop = asyncio.get_running_loop()
        self._saving: asyncio.TimerHandle | None = None

    @property
    def holds_ports(self) -> bool:
        """Whether systemd holds the links' sockets too, so that closing one does not free its port."""
        return self._keeper is not None

    def recall(self, make: Callable[[], Session], links: Sequence[LinkConfig]) -> Session:
        """A session from `make`. If the process before has left one, it goes on with that one's state.

        A link whose section says now that it must be another one, as by another `remotehost`, begins anew.
        """
        session = make()
        found = self._keeper.load() if self._keeper is not None else None
        if found is None:
            return session
        memory, elapsed = found
        try:
            _forget_changed(memory, links)
            taken_up = recall(session, memory, self._loop.time())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("the session of the previous process cannot be restored: %r", error)
            return make()  # the first session has taken up only a part
        if taken_up:
            paths = session.paths
            text = "session of the previous process restored after %.1f s: %d of %d links are up"
            up = sum(path.up for path in paths)
            _log.info(text, elapsed, up, len(paths), extra=fields("state-restored"))
        return session

    def adopt(self, drivers: Mapping[int, LinkOpener], config: Config, session: Session) -> None:
        """Gives each link its socket: the one it had, or the one that systemd listens on. Closes all other sockets.

        `drivers` are by path number.
        """
        if self._sockets is None:
            return
        for number, driver in drivers.items():
            adopted = self._sockets.take(driver.config, config)
            if adopted is None:
                continue
            peer = session.path(number).peer
            if config.mode is Mode.CLIENT and peer is None:
                # The peer's address must be looked up first; it may need another socket at the same port.
                adopted.sock.close()
                self._sockets.give_up(driver.config)
                continue
            if not adopted.kept_by_us:
                self._foreign.add(driver.config.name)
            driver.adopt(adopted.sock, dataclasses.replace(adopted.ends, remote=peer))
        self._sockets.close_rest()

    def keep(self, driver: LinkOpener) -> None:
        """Stores a link's socket for the next process, unless a socket unit holds it."""
        name = link_name(driver.config.name)
        if self._keeper is not None and name and driver.socket is not None and driver.config.name not in self._foreign:
            self._keeper.store(name, driver.socket.fileno())

    def forget(self, driver: LinkOpener) -> None:
        """The link's socket is about to be closed: it is kept no longer."""
        self._foreign.discard(driver.config.name)
        name = link_name(driver.config.name)
        if self._keeper is not None and name:
            self._keeper.forget(name)

    def keep_saving(self, session: Session, links: Callable[[], Sequence[LinkConfig]]) -> None:
        """Saves the session now and every `SAVE_INTERVAL` seconds. `links` gives their present configuration."""
        if self._keeper is not None:
            self._save(session, links())
            self._saving = self._loop.call_later(SAVE_INTERVAL, self.keep_saving, session, links)

    def save_last(self, session: Session, links: Sequence[LinkConfig]) -> None:
        """Saves the session as the process ends: systemd may start us again after a failure, too."""
        if self._saving is not None:
            self._saving.cancel()
        self._save(session, links)

    def _save(self, session: Session, links: Sequence[LinkConfig]) -> None:
        if self._keeper is not None:
            configured = {link.name: restarting_values(link) for link in links}
            self._keeper.save({**remember(session, self._loop.time()), _CONFIGURED: configured})


def _forget_changed(memory: dict[str, Any], links: Sequence[LinkConfig]) -> None:
    """Removes what is remembered of links whose sockets must be made anew. An older process has not said of which."""
    before = memory.get(_CONFIGURED, {})
    changed = {link.name for link in links if before.get(link.name, restarting_values(link)) != restarting_values(link)}
    for name in sorted(changed):
        _log.info("%s has changed in the file: the link begins anew", name, extra=of_link(name))
    memory["paths"] = [path for path in memory["paths"] if path["name"] not in changed]
