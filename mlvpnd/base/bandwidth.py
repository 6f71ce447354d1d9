"""Rates as people write them: bytes per second, or with a unit as systemd and tc(8) have it."""

from __future__ import annotations

import re

MAX_BANDWIDTH = 2**32 - 1
"""Bytes per second of a link, at most."""
MIN_LINE_RATE = 8000
"""Bytes per second, 64 kbit/s: a smaller number was hardly meant as the rate of a line."""
ALLOWED = "bytes per second, as 2500000, 2.5MB or 2.4MiB, or bits, as 20Mbit"

_RATE = re.compile(
    r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kKmMgGtT]?)([iI]?)([bB][iI][tT]|[bB][pP][sS]|B|)(?:/s)?", re.ASCII
)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_rate(text: str) -> int | None:
    """Bytes per second: `2500000`, `2.5M`, `2.5MB/s`, `2500kbps` and `20Mbit` are the same. None: `text` is no rate.

    Units are those of systemd and tc(8). So `bps` is bytes, and prefixes are powers of 1000, with `i` of 1024. `Mb` is
    none: it is a million bits to some, and a million bytes to others.
    """
    found = _RATE.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        return None
    rate = float(found[1]) * (1024.0 if found[3] else 1000.0) ** _POWERS[found[2].lower()]
    return round(rate / 8 if found[4].lower() == "bit" else rate)


def remark(rate: int, text: str = "") -> str:
    """What is odd about a rate for a line, or about how `text` spells it; empty: nothing."""
    if text.endswith("bps"):
        return f"bps is bytes per second, as tc(8) has it: {rate * 8} bits; for bits write bit, as 20Mbit"
    if not 0 < rate < MIN_LINE_RATE:
        return ""
    return f"{rate} bytes per second is a ratio and no line's rate, so no link is paced; {rate} Mbit/s is {rate}Mbit"
