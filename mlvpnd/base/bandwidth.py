"""Rates as people write them: bytes per second, or with a unit as systemd and tc(8) have it."""

from __future__ import annotations

import re

MAX_BANDWIDTH = 2**32 - 1
"""Bytes per second of a link, at most."""
MIN_LINE_RATE = 8000
"""Bytes per second, 64 kbit/s: a smaller number was hardly meant as the rate of a line."""
ALLOWED = "bytes per second, as 2500000 or 2.5MB, or bits, as 20Mbit"

_RATE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kMGmg]?)(bit|B|)(?:/s)?", re.ASCII)
_THOUSANDS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}


def parse_rate(text: str) -> int | None:
    """Bytes per second: `2500000`, `2.5M`, `2.5MB/s` and `20Mbit` are the same. None: `text` is no rate.

    `Mbps` is none: it is a million bits to most people, and a million bytes to tc(8).
    """
    found = _RATE.fullmatch(text.replace("Bit", "bit").replace("K", "k"))
    if found is None:
        return None
    rate = float(found[1]) * _THOUSANDS[found[2].lower()]
    return round(rate / 8 if found[3] == "bit" else rate)


def remark(rate: int) -> str:
    """What is odd about a rate for a line; empty: nothing."""
    if not 0 < rate < MIN_LINE_RATE:
        return ""
    return f"{rate} bytes per second is a ratio and no line's rate, so no link is paced; {rate} Mbit/s is {rate}Mbit"
