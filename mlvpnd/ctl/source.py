"""Gets views of tunnels from the bus, or from the tunnels' private sockets if the bus is down."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from mlvpnd.base.instance import CONFIG_DIRECTORY, CONFIG_SUFFIX, RUNTIME_DIRECTORY, is_name

from . import private_socket
from .errors import CtlError, NotFound, NotRunning, TunnelGone, Unreachable
from .model import ManagedObjects, TunnelView, from_control, from_description, from_objects
from .units import Unit


class Bus(Protocol):
    """The calls of the system bus that are used here."""

    def instances(self) -> list[str]:
        """The bus names of all running tunnels, sorted. Raises Unreachable."""

    def bus_name(self, tunnel: str) -> str:
        """The bus name of a tunnel, running or not."""

    def objects(self, bus_name: str) -> ManagedObjects:
        """All objects of an instance. Raises TunnelGone, Unreachable, CtlError."""

    def describe(self, tunnel: str) -> Mapping[str, object]:
        """Everything that a tunnel tells about itself; raises as `objects`."""

    def units(self) -> Mapping[str, Unit]:
        """The units that systemd has loaded, by their tunnels. Raises Unreachable, CtlError."""


class Source:
    """Finds tunnels by name."""

    def __init__(
        self,
        bus: Bus,
        *,
        runtime: str | os.PathLike[str] = RUNTIME_DIRECTORY,
        config: str | os.PathLike[str] = CONFIG_DIRECTORY,
    ) -> None:
        self._bus = bus
        self._runtime = os.fspath(runtime)
        self._config = os.fspath(config)

    def all(self) -> list[TunnelView]:
        """Every running tunnel, by name. Raises Unreachable only if the private sockets do not answer either."""
        try:
            instances = self._bus.instances()
        except Unreachable as error:
            return self._all_by_socket(error)
        found = []
        for instance in instances:
            try:
                view = from_objects(self._bus.objects(instance))
            except TunnelGone:
                continue  # it ended after it was listed
            if view is not None:
                found.append(view)
        return sorted(found, key=lambda view: view.name)

    def listed(self) -> tuple[list[TunnelView], str]:
        """Every tunnel that runs, has a file or is known to systemd, by name; and what could not be seen, or nothing.

        Raises as `all`.
        """
        views = {view.name: view for view in self.all()}
        units = self._units()
        configured, unseen = self._configured()
        # Units of tunnels whose files are gone stay loaded for a while.
        wanted = configured | {name for name, unit in units.items() if unseen or unit.state != "stopped"}
        for name in wanted - views.keys():
            views[name] = _silent_view(name, units.get(name))
        return [views[name] for name in sorted(views)], unseen

    def silent(self, name: str) -> TunnelView | None:
        """What is known of a tunnel that does not answer; None: nothing."""
        unit = self._units().get(name)
        return _silent_view(name, unit) if unit is not None or name in self._configured()[0] else None

    def _units(self) -> Mapping[str, Unit]:
        try:
            return self._bus.units()
        except CtlError:
            return {}

    def _configured(self) -> tuple[set[str], str]:
        """The names of all files; and why they could not be seen, or nothing."""
        try:
            found = {entry.removesuffix(CONFIG_SUFFIX) for entry in os.listdir(self._config) if _is_file_name(entry)}
        except PermissionError:
            return set(), f"{self._config} cannot be read as this user: tunnels that systemd has not loaded are missing"
        except OSError:
            return set(), ""
        return found, ""

    def _all_by_socket(self, reason: Unreachable) -> list[TunnelView]:
        found = []
        failures: list[CtlError] = []
        for name in private_socket.names(self._runtime):
            try:
                found.append(self.by_socket(name))
            except CtlError as error:
                failures.append(error)
        if not found:
            raise Unreachable("\n".join(map(str, [reason, *failures])))
        return found

    def one(self, name: str) -> TunnelView:
        """The tunnel `name` with its properties.

        Raises NotFound, NotRunning, and the errors of a failed question.
        """

        def ask() -> TunnelView:
            view = from_objects(self._bus.objects(self._bus.bus_name(name)))
            if view is None:
                raise TunnelGone(name)
            return view

        return self._by_bus_or_socket(name, ask)

    def full(self, name: str) -> TunnelView:
        """As `one`, also with values that are not worth a property: why links are down, drops."""

        def ask() -> TunnelView:
            return from_description(self._bus.describe(name))

        return self._by_bus_or_socket(name, ask)

    def _by_bus_or_socket(self, name: str, ask: Callable[[], TunnelView]) -> TunnelView:
        self.check_name(name)
        reason: CtlError
        try:
            return ask()
        except TunnelGone:
            reason = self.absent(name)
        except Unreachable as error:
            reason = error
        try:
            return self.by_socket(name)
        except Unreachable:
            # Nobody listens: without a bus this means that the tunnel does not run.
            raise (self.absent(name) if isinstance(reason, Unreachable) else reason) from None

    def by_socket(self, name: str) -> TunnelView:
        """The tunnel from its private socket. Raises Unreachable, NotAllowed, CtlError."""
        return from_control(private_socket.ask_status(self.socket_path(name)))

    def socket_path(self, name: str) -> str:
        """The path of the tunnel's private socket."""
        return private_socket.socket_path(name, self._runtime)

    def check_name(self, name: str) -> None:
        """Raises NotFound if `name` cannot be a tunnel's name."""
        if not is_name(name) or name in (".", ".."):
            raise NotFound(f"{name!r}: not a tunnel's name")

    def absent(self, name: str) -> CtlError:
        """Why a tunnel does not answer: it is not running, or there is none of that name."""
        path = f"{self._config}/{name}{CONFIG_SUFFIX}"
        try:
            os.stat(path)
        except PermissionError:
            pass  # only root may look: the file may exist
        except OSError:
            return NotFound(f"{name}: no such tunnel ({path} does not exist)")
        return NotRunning(f"{name}: not running; start it with 'systemctl start mlvpn@{name}'")


def _silent_view(name: str, unit: Unit | None) -> TunnelView:
    """A tunnel that does not answer; systemd does not load a unit that nobody has asked for."""
    state, reason = (unit.state, unit.reason) if unit is not None else ("stopped", "")
    return TunnelView(name, {"Name": name, "State": state, **({"Reason": reason} if reason else {})}, ())


def _is_file_name(entry: str) -> bool:
    return entry.endswith(CONFIG_SUFFIX) and is_name(entry.removesuffix(CONFIG_SUFFIX))
