"""Tells of a client's links on which nobody answers, and why as far as that can be learnt.

The first line comes `TELL_AFTER` seconds after the link began to ask, later ones each `TELL_AGAIN`. One line tells of
all links that are due. So a server that is off is one line, whatever the number of links.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlvpnd.logs.journal import fields, of_link
from mlvpnd.logs.log import logger
from mlvpnd.logs.tasks import watched
from mlvpnd.net.probe import refusal
from mlvpnd.operator.status import format_address

from .eventlog import REASONS
from .link_opener import LinkOpener

PROBE_AFTER = 1.5
"""Seconds until a link that nobody answers is probed: two AUTHs have had their time by then."""
PROBE_WAIT = 2.0
"""Seconds for an error to come back. A neighbour that does not answer is given up by the kernel 3 s after the first
packet for it, which was the link's first AUTH."""
PROBE_AGAIN = 30.0
"""Seconds until the next probe while nobody answers: status tells the present cause."""
TELL_AFTER = 4.0
"""Seconds until the first line. An operator who looks after five seconds finds it."""
TELL_AGAIN = 600.0
"""Seconds until the next line: a tunnel that is down for a night has some fifty."""
TOGETHER = 1.0
"""Seconds. Links that are due so soon are told of by the same line."""
MOST_NAMED = 8
"""Links that one line tells of; of further links it has the number."""

_OF_UPLINK = frozenset(reason.value for reason, word in REASONS.items() if word == "uplink")
_protocol = logger("protocol")


@dataclass(slots=True)
class _Silent:
    """A link that asks, and that nobody answers; times are the loop's."""

    since: float
    known: bool
    """Whether the journal has it already that the link is down: it was up, and the line about its end is an event."""
    tell_at: float
    probe_at: float
    found: str = ""
    """What the last probe has found; empty: there was none yet."""
    refused: bool = False
    """Whether the peer itself has answered, by an error."""


class Silence:
    """Follows the links of one tunnel; `look` is to be called whenever one of them may have changed."""

    def __init__(
        self,
        drivers: Mapping[int, LinkOpener],
        answered: Callable[[int], bool | None],
        peer: Callable[[int], Any],
        reason: Callable[[int], str],
        learnt: Callable[[], None],
    ) -> None:
        """`answered` says whether a link is up; None: it asks nobody, as a server's or a disabled one.

        `peer` gives the address that a link asks, None if there is none yet. `reason` says why a link went down; empty:
        it was not up yet. `learnt` is called when a cause is known.
        """
        self._drivers = drivers
        self._answered = answered
        self._peer = peer
        self._reason = reason
        self._learnt = learnt
        self._silent: dict[int, _Silent] = {}
        self._were_up: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._probing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    def look(self) -> None:
        """Begins or ends the wait for answers."""
        now = self._loop.time()
        for number in self._drivers:
            answered = self._answered(number)
            if answered is not False:
                self._silent.pop(number, None)
            elif number not in self._silent:
                known = number in self._were_up
                self._silent[number] = _Silent(now, known, now + TELL_AFTER, now + PROBE_AFTER)
            if answered:
                self._were_up.add(number)
        for gone in self._silent.keys() - self._drivers.keys():
            del self._silent[gone]
        self._were_up &= self._drivers.keys()
        self._arm()

    def stop(self) -> None:
        """Tells nothing more."""
        self._silent.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._probing is not None:
            self._probing.cancel()

    def cause(self, number: int) -> str:
        """Why nobody answers on a link; empty: somebody does, or nothing is known yet."""
        silent, driver = self._silent.get(number), self._drivers.get(number)
        if silent is None or driver is None:
            return ""
        if driver.error:
            return driver.error
        if driver.socket is None and driver.looks_up and self._loop.time() >= silent.since + PROBE_AFTER:
            return f"the look-up of {driver.config.remotehost} is not answered"
        reason = self._reason(number)
        # Where the uplink is gone, it is no news that nothing comes back, or that there is no route.
        found = "" if reason in _OF_UPLINK and not silent.refused else silent.found
        return "; ".join(filter(None, [reason, found]))

    def summary(self) -> str:
        """All causes, each behind its links; empty: none is known."""
        return _summary({number: cause for number in self._silent if (cause := self.cause(number))}, self._drivers)

    # Timer.

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._silent:
            due = min(min(one.tell_at, one.probe_at) for one in self._silent.values())
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, now = None, self._loop.time()
        probed = [number for number, one in self._silent.items() if one.probe_at <= now]
        for number in probed:
            self._silent[number].probe_at = now + PROBE_AGAIN
        if probed and (self._probing is None or self._probing.done()):
            self._probing = watched(self._loop.create_task(self._probe(probed), name="probe"))
        if any(one.tell_at <= now for one in self._silent.values()):
            self._tell(now)
        self._arm()

    async def _probe(self, numbers: Iterable[int]) -> None:
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(self._probe_one(number))
        self._learnt()

    async def _probe_one(self, number: int) -> None:
        driver = self._drivers.get(number)  # the link may have gone since
        peer = self._peer(number) if driver is not None else None
        if driver is None or driver.socket is None or peer is None:
            return
        error = await refusal(driver.socket.local_address, peer, driver.device, PROBE_WAIT)
        if silent := self._silent.get(number):
            silent.found, silent.refused = _words(error, format_address(peer)), error == errno.ECONNREFUSED

    # Lines.

    def _tell(self, now: float) -> None:
        due = {number: one for number, one in self._silent.items() if one.tell_at <= now + TOGETHER}
        causes: dict[int, str] = {}
        for number, one in due.items():
            # The line about a first failure to look up or to bind has told it already.
            told = bool(self._drivers[number].error) and now < one.since + TELL_AGAIN
            one.tell_at = now + (TELL_AFTER if told else TELL_AGAIN)
            if not told:
                causes[number] = self.cause(number) or _words(0, format_address(self._peer(number)) or "the peer")
        if not causes:
            return
        name = self._drivers[next(iter(causes))].config.name if len(causes) == 1 else ""
        new = not all(due[number].known for number in causes)
        for number in causes:
            due[number].known = self._drivers[number].told_down = True
        seconds = round(now - min(due[number].since for number in causes))
        _protocol.log(
            logging.WARNING if new else logging.INFO,
            "no answer for %d s (trying again until it works): %s",
            seconds,
            _summary(causes, self._drivers),
            extra=fields("no-answer", name, state="connecting", seconds=seconds) if new else of_link(name),
        )
        self._learnt()


def _words(error: int, address: str) -> str:
    """What a probe has found."""
    if error == errno.ECONNREFUSED:
        return f"{address} refuses: no program has this port"
    if error:
        return f"{address} cannot be reached: {os.strerror(error)}"
    return f"no answer from {address}"


def _summary(causes: Mapping[int, str], drivers: Mapping[int, LinkOpener]) -> str:
    """`adsl1, adsl2: no answer from 192.0.2.1:5080; lte: …`."""
    named: dict[str, list[str]] = {}
    for number in list(causes)[:MOST_NAMED]:
        named.setdefault(causes[number], []).append(drivers[number].config.name)
    parts = [f"{', '.join(names)}: {cause}" for cause, names in named.items()]
    more = len(causes) - MOST_NAMED
    return "; ".join([*parts, f"{more} more links"] if more > 0 else parts)
