"""The links that the status command believes up: it is told of their end even if the file no longer has them."""

from __future__ import annotations

import os

from mlvpnd.logs.log import logger

_log = logger("privsep")


class UpLinks:
    """A set of link names, in a file (one a line) or, with an empty path, in memory only.

    The file's directory is one where only root can write.
    """

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._names = self._read() if path else frozenset[str]()

    def names(self) -> frozenset[str]:
        """The links that the status command believes up."""
        return self._names

    def note(self, link: str, *, up: bool) -> None:
        """The status command is told that `link` is up or down."""
        names = self._names | {link} if up else self._names - {link}
        if names == self._names:
            return
        self._names = names
        if self._path:
            try:
                self._write()
            except OSError as error:
                _log.warning("cannot write %s: %s", self._path, error.strerror)

    def _read(self) -> frozenset[str]:
        try:
            with open(self._path, errors="surrogateescape") as file:
                return frozenset(file.read().split("\n")) - {""}
        except OSError:
            return frozenset()

    def _write(self) -> None:
        if not self._names:
            os.unlink(self._path)
            return
        new = f"{self._path}.new"
        with open(new, "w", errors="surrogateescape") as file:
            file.write("\n".join(sorted(self._names)))
        os.replace(new, self._path)
