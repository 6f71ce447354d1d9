"""The units of tunnels as systemd's manager tells them: what is known of a tunnel that does not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

MANAGER = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_PREFIX, _SUFFIX = "mlvpn@", ".service"

Call = Callable[..., list[object]]
"""Calls a method: bus name, path, interface, member, signature, values. Raises CtlError."""


class Unit(NamedTuple):
    """One `mlvpn@NAME.service` that systemd has loaded."""

    active: str
    """systemd's ActiveState."""
    sub: str
    """systemd's SubState."""
    restarts: int = 0
    """How often systemd has started it again since somebody started it."""
    result: str = ""
    """How its last process ended, in systemd's words, as `exit-code`."""

    @property
    def state(self) -> str:
        """The state of a tunnel that does not answer.

        `stopped`, `starting`, `restarting` (it ends again and again), `failed`, `stopping`, or `running`.
        """
        if self.sub.startswith("auto-restart") or (self.active == "activating" and self.restarts):
            return "restarting"
        words = {"inactive": "stopped", "failed": "failed", "activating": "starting", "deactivating": "stopping"}
        return words.get(self.active, "running")

    @property
    def reason(self) -> str:
        """What is known of why it does not answer; empty: nothing."""
        ended = f"the last process ended with {self.result}" if self.result not in ("", "success") else ""
        if self.state == "restarting":
            again = "once" if self.restarts == 1 else f"{self.restarts} times"
            started = f"systemd has started it again {again}" if self.restarts else "systemd is about to start it again"
            return "; ".join(filter(None, [started, ended]))
        return {"failed": ended, "running": "it runs and cannot be asked"}.get(self.state, "")


def loaded(call: Call) -> dict[str, Unit]:
    """The loaded units by the names of their tunnels. Raises CtlError; TunnelGone: systemd does not run here."""
    what = f"{MANAGER}.Manager", "ListUnitsByPatterns", "asas"
    (listed,) = call(MANAGER, _PATH, *what, [], [f"{_PREFIX}*{_SUFFIX}"])
    found = {}
    for name, _, _, active, sub, _, path, *_ in listed if isinstance(listed, list) else ():
        tunnel = str(name).removeprefix(_PREFIX).removesuffix(_SUFFIX)
        # Only of these it is worth a question what became of them.
        details = _details(call, str(path)) if active in ("activating", "failed") else {}
        restarts = details.get("NRestarts")
        found[tunnel] = Unit(
            str(active), str(sub), restarts if isinstance(restarts, int) else 0, str(details.get("Result", ""))
        )
    return found


def _details(call: Call, path: str) -> Mapping[str, object]:
    words = ("org.freedesktop.DBus.Properties", "GetAll", "s", f"{MANAGER}.Service")
    (values,) = call(MANAGER, path, *words)
    return values if isinstance(values, dict) else {}
