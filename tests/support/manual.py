"""The sources of the manual pages, for tests that compare them with the code."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from .linkemu import PROJECT

MAN = PROJECT / "man"


def source(page: str) -> str:
    """The text of a page, for example `mlvpn.conf.5`."""
    return (MAN / f"{page}.scd").read_text()


def render(page: str) -> str:
    """The page as *roff; fails if scdoc reports anything."""
    done = subprocess.run(["scdoc"], input=source(page), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def part(text: str, heading: str) -> str:
    """The text below a heading, up to the next heading of its rank or above."""
    lines = text.splitlines()
    begin = lines.index(heading) + 1
    rank = heading.index(" ")
    ends = (
        at for at in range(begin, len(lines)) if any(lines[at].startswith("#" * n + " ") for n in range(1, rank + 1))
    )
    return "\n".join(_outside_literals(lines, begin, ends))


def _outside_literals(lines: list[str], begin: int, ends: Iterator[int]) -> list[str]:
    """The lines up to the first end outside literal blocks. In literal blocks, comments look like headings."""
    for end in ends:
        if lines[begin:end].count("```") % 2 == 0:
            return lines[begin:end]
    return lines[begin:]


def literals(text: str) -> list[str]:
    """The literal blocks of a text, in order."""
    return text.split("```\n")[1::2]
