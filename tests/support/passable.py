"""Lets every user enter the checkout though a directory above it is closed. By Debian's default, home directories are.

    python -m tests.support.passable [UID PROGRAM [ARGUMENT]...]

Root runs it, in a mount namespace of its own. It mounts an empty directory over the closed one, and the checkout at its
place in the empty one. So it does with Python's own directory, where that is another one. If a program is named, it
then runs the program in the checkout, as the user.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from tests.support.linkemu import PROJECT


def closed_above(path: Path) -> Path | None:
    """The first directory on the way to a path that others may not enter."""
    for directory in (*reversed(path.parents), path):
        if not directory.stat().st_mode & stat.S_IXOTH:
            return directory
    return None


def open_up() -> None:
    """Opens the checkout for all in this mount namespace, and enters it."""
    if (closed := closed_above(PROJECT)) is not None:
        places = [PROJECT, *(path for path in [Path(sys.prefix).resolve()] if path.is_relative_to(closed))]
        kept = [os.open(place, os.O_PATH) for place in places]
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", closed], check=True)
        for place, descriptor in zip(places, kept, strict=True):
            place.mkdir(parents=True, exist_ok=True)
            source = f"/proc/self/fd/{descriptor}"
            subprocess.run(["mount", "--no-canonicalize", "--bind", source, place], check=True, pass_fds=(descriptor,))
            os.close(descriptor)
        if closed_above(PROJECT) is not None:
            sys.exit(f"{PROJECT} itself is closed: chmod o+x it")
    os.chdir(PROJECT)


def as_user(uid: int, *words: str) -> list[str]:
    """The command that runs a program of the checkout as another user. It must run in the checkout."""
    return ["unshare", "--mount", sys.executable, "-m", "tests.support.passable", str(uid), *words]


if __name__ == "__main__":
    open_up()
    if words := sys.argv[2:]:
        os.setgroups([])
        os.setgid(int(sys.argv[1]))
        os.setuid(int(sys.argv[1]))
        os.execvp(words[0], words)  # noqa: S606
