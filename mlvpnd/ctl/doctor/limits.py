"""Limits in time: a check that hangs holds up neither the others nor the end of the program.

Each check runs in a thread of its own. Python's daemon threads end with the program, whatever they wait for.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from .finding import Finding, warning

CHECK_LIMIT = 3.0
"""Seconds for a check."""
RUN_LIMIT = 15.0
"""Seconds for all checks of a run."""

Value = TypeVar("Value")


class NotFinished(Exception):
    """The time was over; the text says which limit."""


class Limits:
    """The time that a run has left."""

    def __init__(self, check: float = CHECK_LIMIT, run: float = RUN_LIMIT) -> None:
        """`check` and `run` are seconds for one check and for all together, from now on."""
        self._check = check
        self._run = run
        self._until = time.monotonic() + run

    @property
    def left(self) -> float:
        """Seconds that a check has which begins now."""
        return max(0.0, min(self._check, self._until - time.monotonic()))

    def findings(self, check: str, what: str, work: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
        """The findings of `work` as they come; at its limit one more, which says so, with the names `check` and `what`.

        Raises what `work` raises.
        """
        limit = self.left
        until = time.monotonic() + limit
        found: queue.SimpleQueue[Finding | BaseException | None] = queue.SimpleQueue()

        def run() -> None:
            try:
                for one in work():
                    found.put(one)
            except BaseException as error:
                found.put(error)
            found.put(None)

        if limit:
            threading.Thread(target=run, daemon=True).start()
        while True:
            try:
                # Even at the limit, what is there already is taken.
                one = found.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                yield warning(check, f"{what}: {self._cut(limit)}")
                return
            if one is None:
                return
            if isinstance(one, BaseException):
                raise one
            yield one

    def value(self, work: Callable[[], Value]) -> Value:
        """What `work` returns. Raises NotFinished, and what `work` raises."""
        results: list[Value] = []

        def run() -> Iterator[Finding]:
            results.append(work())
            return iter(())

        cut = [*self.findings("", "", run)]
        if cut or not results:
            raise NotFinished(cut[0].text.removeprefix(": ") if cut else "no value")
        return results[0]

    def _cut(self, limit: float) -> str:
        if limit < self._check:
            return f"not finished within the {self._run:g} s of a run"
        return f"not finished within {self._check:g} s"
