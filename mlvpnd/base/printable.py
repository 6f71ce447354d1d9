"""Makes foreign text fit for a terminal or a log."""

from __future__ import annotations

TITLE_NAME_LENGTH = 28
"""Characters of a link's name in a process title."""


def printable(text: str) -> str:
    """`text`, with everything escaped that could disturb a terminal or a log."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("ascii", "backslashreplace").decode() for c in text).translate(
        {c: f"\\x{c:02x}" for c in (*range(32), 127)}
    )
