"""systemd's store of descriptors, for consecutive daemons of a test."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

from mlvpnd.systemd.given import Service
from mlvpnd.systemd.notify import Notifier


class Store:
    """systemd's store, as far as a test needs it: descriptors by name, kept by `dup`."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.said: list[str] = []

    def send(self, text: str, descriptors: tuple[int, ...]) -> None:
        self.said.append(text)
        word, _, rest = text.partition("\n")
        name = rest.partition("\n")[0].removeprefix("FDNAME=")
        if word == "FDSTORE=1":
            (descriptor,) = descriptors
            self.kept[name] = os.dup(descriptor)
        elif word == "FDSTOREREMOVE=1" and name in self.kept:
            os.close(self.kept.pop(name))

    def service(self, **more: Any) -> Service:
        """The service data for the next process."""
        return Service("test", Notifier(self.send), {name: [os.dup(fd)] for name, fd in self.kept.items()}, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self.kept.values():
            os.close(descriptor)
