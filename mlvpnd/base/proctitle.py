"""What `ps`, `pidof` and `pkill` see of a process."""

from __future__ import annotations

import setproctitle

KERNEL_NAME = "mlvpn"
"""The kernel's name of every process of ours; `pidof mlvpn` and `pkill mlvpn` search for it."""


def set_title(text: str, *, natural: bool = False) -> None:
    """Shows `text` as the process title; `natural` leaves the title alone. To be called by the main thread.

    The kernel's name is set in both cases: setproctitle overwrites it with the title's first letters.
    """
    if not natural:
        setproctitle.setproctitle(text)
    setproctitle.setthreadtitle(KERNEL_NAME)
