"""`mlvpnctl monitor`: a line for everything that happens to tunnels, until it is interrupted.

Anybody may send a signal that looks like a tunnel's; only signals from the owner of a tunnel's name count.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from mlvpnd.base.printable import printable
from mlvpnd.bus import names
from mlvpnd.bus.message import Message

from .client import SystemBus, values_of
from .errors import CtlError, Unreachable
from .model import from_objects
from .output import STATE_STYLE, Cell, Output, milliseconds

RULES = (
    f"type='signal',interface='{names.TUNNEL_INTERFACE}',path_namespace='{names.MANAGER_PATH}'",
    f"type='signal',sender='{names.BUS_NAME}',member='NameOwnerChanged',arg0namespace='org.mlvpn1.Tunnel'",
)
_ARGUMENTS = {
    "StateChanged": ("State", "OldState", "Reason"),
    "LinkUp": ("Link", "Path"),
    "LinkDown": ("Link", "Path", "Reason"),
    "LinkEnabled": ("Link", "Path"),
    "LinkLossy": ("Link", "Path", "LossPercent"),
    "LinkSlow": ("Link", "Path", "SmoothedRttUSec"),
    "Reloaded": ("OK", "Message"),
}
"""By signal: its arguments' names in JSON."""

Event = dict[str, object]


class Monitor:
    """Follows signals and their permitted senders."""

    def __init__(self, bus: SystemBus, wanted: Collection[str]) -> None:
        """Follows the tunnels `wanted`; empty: all."""
        self._bus = bus
        self._wanted = frozenset(wanted)
        self._tunnels: dict[str, str] = {}
        """By the owner's unique name: the tunnel."""
        self._owners: dict[str, str] = {}
        """By the tunnel's bus name: the owner's unique name."""

    def start(self) -> None:
        """Begins to listen. Raises Unreachable."""
        self._bus.match(RULES)
        for bus_name in self._bus.instances():
            self._learn(bus_name, self._bus.owner(bus_name))

    def next(self) -> Event:
        """Waits for the next wanted event. Raises Unreachable."""
        while True:
            event = self._event(self._bus.signal())
            if event is not None and (not self._wanted or event["Tunnel"] in self._wanted):
                return event

    def _event(self, message: Message) -> Event | None:
        # Anybody may send signals: others' signals are not even decoded.
        if message.sender == names.BUS_NAME and message.member == "NameOwnerChanged":
            values = values_of(message)
            return self._owner_changed(*map(str, values)) if len(values) == 3 else None
        arguments = _ARGUMENTS.get(message.member)
        tunnel = self._tunnels.get(message.sender)
        if arguments is None or tunnel is None:
            return None
        values = values_of(message)
        if len(values) != len(arguments):
            return None
        return _new_event(tunnel, message.member, **dict(zip(arguments, values, strict=True)))

    def _owner_changed(self, bus_name: str, before: str, after: str) -> Event | None:
        tunnel = self._tunnels.pop(before, None)
        self._owners.pop(bus_name, None)
        if after:
            return _new_event(name, "Started") if (name := self._learn(bus_name, after)) else None
        return _new_event(tunnel, "Stopped") if tunnel else None

    def _learn(self, bus_name: str, owner: str) -> str:
        """The tunnel's own name, remembered by its owner's name; empty: it is already gone."""
        try:
            view = from_objects(self._bus.objects(bus_name)) if owner else None
        except Unreachable:  # the match rules are gone with the connection
            raise
        except CtlError:
            view = None
        if view is None:
            return ""
        self._tunnels[owner], self._owners[bus_name] = view.name, owner
        return view.name


def _new_event(tunnel: str, name: str, **more: object) -> Event:
    return {"Timestamp": int(time.time() * 1_000_000), "Tunnel": tunnel, "Event": name, **more}


def show(event: Event, output: Output) -> None:
    """Writes an event."""
    if output.as_json:
        output.json(event, lines=True)
        return
    stamp = time.strftime("%b %d %H:%M:%S", time.localtime(int(str(event["Timestamp"])) / 1_000_000))
    output.line(f"{stamp} {printable(str(event['Tunnel']))}: ", *_cells(event))


def _cells(event: Event) -> list[Cell]:
    name, link = event["Event"], printable(str(event.get("Link", "")))
    because = f" ({event['Reason']})" if event.get("Reason") else ""
    if name == "StateChanged":
        state = str(event["State"])
        return [f"{event['OldState']} -> ", (STATE_STYLE.get(state, ""), state), because]
    if name == "LinkUp":
        return [f"link {link} is ", ("good", "up")]
    if name == "LinkEnabled":
        return [f"link {link} is ", ("odd", "enabled")]
    if name == "LinkDown" and event["Reason"] == "disabled":
        return [f"link {link} is ", ("faint", "disabled")]
    if name == "LinkDown":
        return [f"link {link} is ", ("bad", "down"), because]
    if name == "LinkLossy":
        return [f"link {link} is ", ("odd", "lossy"), f", {event['LossPercent']} % are lost"]
    if name == "LinkSlow":
        return [f"link {link} is ", ("odd", "slow"), f", round trip {milliseconds(int(str(event['SmoothedRttUSec'])))}"]
    if name == "Reloaded":
        return ["reloaded"] if event["OK"] else [("bad", "reload failed"), f": {printable(str(event['Message']))}"]
    return [("good", "started")] if name == "Started" else [("odd", "stopped")]
