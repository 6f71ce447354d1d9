"""The life of the unprivileged process: configuration, interface, tunnel, signals, exit code.

It runs in its sandbox, with everything imported that it needs (`preload`) and the helper at the other end of a
socket. It opens no path and starts no program.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mlvpnd import config as configuration
from mlvpnd.base import proctitle
from mlvpnd.base.instance import RUNTIME_DIRECTORY
from mlvpnd.base.options import Options
from mlvpnd.config.model import Config, DeviceKind
from mlvpnd.config.problems import ConfigError
from mlvpnd.dataplane import choice
from mlvpnd.dataplane.selector import TurnLoop
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.address import Role
from mlvpnd.helper.client import HelperClient
from mlvpnd.helper.service_client import ServiceHelper, listen
from mlvpnd.logs import log
from mlvpnd.logs import setup as log_setup
from mlvpnd.logs.journal import fields
from mlvpnd.logs.tasks import watched
from mlvpnd.net import bpf, resolve
from mlvpnd.net.interface import interface_of, matches, mtu_of
from mlvpnd.net.tun import TunDevice
from mlvpnd.operator import status
from mlvpnd.operator.face import ConfigUnreadable, Notice, Reloaded
from mlvpnd.operator.notices import Reports
from mlvpnd.operator.status_socket import ControlServer
from mlvpnd.systemd import notify
from mlvpnd.systemd.fd_store import Keeper
from mlvpnd.systemd.given import PRIVATE_SOCKET, Service
from mlvpnd.systemd.inherited_sockets import Sockets
from mlvpnd.systemd.notify import Notifier
from mlvpnd.tunnel import snapshot
from mlvpnd.tunnel.interface import Interface
from mlvpnd.tunnel.lasting import Lasting
from mlvpnd.tunnel.tunnel import Tunnel

from .clock import ClockWatch

if TYPE_CHECKING:
    from mlvpnd.bus.service import BusService

RELOAD_DELAY = 0.3
"""Seconds in which several SIGHUPs count as one. `pkill -HUP mlvpn` signals both processes, and the parent forwards its
own signal, which takes a moment on a busy machine."""
STOP_LIMIT = 65.0
"""Seconds that the status command's runs have at a stop."""
BIND_PATIENCE = 3.0
"""Seconds that readiness waits at most for the links to be bound."""
TITLE_DELAY = 0.05
"""Seconds in which several changes of state become one change of the title."""

_log = log.logger()
_config_log = log.logger("config")


def preload() -> None:
    """Imports and opens everything that is needed after the root directory has changed."""
    bpf.preload()
    # Else Python would load this codec when a name is first looked up or a socket is first bound by name.
    "localhost".encode("idna")


def run(options: Options, helper: HelperClient, service: Service | None = None) -> int:
    """Runs the tunnel to its end. Returns the exit code: 0 after a clean stop, 1 after a fatal error.

    The log must be set up before: the chroot has no /dev/log. `service` is what systemd gave.
    """
    handlers = logging.getLogger(log.ROOT).handlers
    syslog = next((handler for handler in handlers if isinstance(handler, log.SyslogHandler)), None)
    try:
        with asyncio.Runner(loop_factory=TurnLoop) as runner:
            return runner.run(Daemon(options, helper, syslog, service).run())
    except MlvpndError as error:
        _log.critical("%s", error)
        return 1


class Daemon:
    """One run of the daemon; for the bus and the control sockets it is the `face.Operator`."""

    def __init__(
        self,
        options: Options,
        helper: HelperClient,
        syslog: log.SyslogHandler | None,
        service: Service | None = None,
    ) -> None:
        self._options = options
        self._helper = helper
        self._syslog = syslog
        self._service = service
        self._notifier = service.notifier if service is not None else Notifier(None)
        self._reports = Reports()
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._reload_due: asyncio.TimerHandle | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._one_reload = asyncio.Lock()
        self._tunnel: Tunnel | None = None
        self._started = asyncio.Event()

    async def run(self) -> int:
        """Start, serve, stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._stop, "killed by signal SIGTERM, SIGQUIT or SIGINT", 0)
        loop.add_signal_handler(signal.SIGHUP, self._hup)
        self._helper.on_closed(lambda: self._stop("Privileged process died", 1))
        self._keep_syslog()
        self._notifier.start_watchdog()
        clocks = ClockWatch()
        clocks.start()
        config, _ = await self._read_config()
        tunnel = self._tunnel = await self._make_tunnel(config)
        if tunnel.interface.kept:  # packets wait; it is configured, unless the file has changed
            tunnel.start()
            await tunnel.interface.configure()
        else:
            await tunnel.interface.configure()
            tunnel.start()
        if isinstance(self._helper, ServiceHelper) and config.statuscommand and tunnel.state in status.CARRYING:
            self._helper.wake(Role.SCRIPT)  # the process before has run up scripts: down scripts are owed
        self._started.set()
        # In a task: the control socket's name may take long to look up, and the links do not need it.
        control = watched(loop.create_task(self._serve_control(config), name="control"))
        titles = watched(loop.create_task(self._keep_title(tunnel), name="title"))
        bus = self._start_bus()
        await self._wait_tried(tunnel)
        self._notifier.ready(self._service_text())
        gc.freeze()  # the collector need not look again and again at what lives to the end
        try:
            await self._stopping.wait()
        finally:
            self._notifier.stopping()
            restarting = await self._is_restart()
            clocks.stop()
            titles.cancel()
            control.cancel()
            await asyncio.wait([control])
            meant = self._stopping.is_set() and not self._exit_code
            await tunnel.stop(STOP_LIMIT, restarting=restarting, meant=meant)
            if bus is not None:
                bus.close()
        return self._exit_code

    async def _make_tunnel(self, config: Config) -> Tunnel:
        # Before anything is opened: a twin that cannot run is an error of the start.
        plane = choice.make(choice.choose(config.data_plane))
        _log.info("data plane: %s", plane.name.value)
        service = self._service
        lasting = await Lasting.load(self._helper)
        if service is None:
            interface = await self._open_interface(None)
            return Tunnel(config, self._helper, interface, plane=plane, reports=self._reports, lasting=lasting)
        keeper = Keeper(service)
        interface = self._kept_interface(service, config, keeper) or await self._open_interface(keeper)
        sockets = Sockets(service, keeper)
        service.close_rest(but=notify.CONTROL if config.control_unix_path else "")
        return Tunnel(
            config,
            self._helper,
            interface,
            plane=plane,
            reports=self._reports,
            keeper=keeper,
            sockets=sockets,
            lasting=lasting,
        )

    async def _open_interface(self, keeper: Keeper | None) -> Interface:
        opened = await self._helper.open_tun()
        _log.info("created interface `%s'", opened.name)
        if keeper is not None:
            keeper.store(notify.TUN, opened.fd)
        return Interface(self._helper, TunDevice(opened.fd), opened.name, opened.mtu, keeper=keeper)

    def _kept_interface(self, service: Service, config: Config, keeper: Keeper) -> Interface | None:
        """The interface that systemd kept, if it still exists and is still what the file asks for."""
        descriptor = service.take(notify.TUN)
        if descriptor is None:
            return None
        try:
            name, is_tap = interface_of(descriptor)
            mtu = mtu_of(name)
        except OSError:
            name, is_tap, mtu = "", False, 0
        if matches(config.interface_name, name) and is_tap == (config.tuntap is DeviceKind.TAP):
            _log.info("interface `%s' kept from the previous process", name)
            return Interface(self._helper, TunDevice(descriptor), name, mtu, keeper=keeper, kept=True)
        os.close(descriptor)
        service.notifier.forget(notify.TUN)
        return None

    async def _wait_tried(self, tunnel: Tunnel) -> None:
        """Waits until each link is bound or cannot be; `BIND_PATIENCE` at most, because look-ups may take long."""
        tried = asyncio.create_task(tunnel.wait_tried())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((tried, stopping), timeout=BIND_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        tried.cancel()
        stopping.cancel()

    # What an operator may ask.

    def snapshot(self) -> status.TunnelStatus:
        """The tunnel's status now."""
        return snapshot.take(self._running(), self._options)

    def subscribe(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Has `listener` called for each change; returns what ends that."""
        return self._reports.subscribe(listener)

    def reconnect(self, link: str) -> None:
        """Drops a link and authenticates it again."""
        self._running().reconnect(link)

    def set_enabled(self, link: str, *, enabled: bool) -> None:
        """Takes a link out of use, or back in."""
        self._running().set_enabled(link, enabled=enabled)

    def set_bandwidth_upload(self, link: str, bandwidth: int) -> None:
        """Sets a link's weight."""
        self._running().set_bandwidth_upload(link, bandwidth)

    def forget(self) -> None:
        """Forgets what outlasts a stop."""
        self._running().forget()
        _log.info("what outlasts a stop is forgotten")

    def log_target(self) -> str:
        """Where log lines go."""
        return log_setup.target()

    def set_log_target(self, target: str) -> None:
        """Sends log lines to the journal or to standard error."""
        log_setup.set_target(target)

    def _running(self) -> Tunnel:
        if self._tunnel is None:
            raise MlvpndError("the tunnel is not open yet")
        return self._tunnel

    async def reload(self) -> Sequence[str]:
        """Reads the file again and applies it, one reload after the other; returns warnings about it.

        If the file is wrong, raises, and nothing changes.
        """
        async with self._one_reload:
            await self._started.wait()
            self._notifier.reloading()
            try:
                config, warnings = await self._read_config()
                if not self._stopping.is_set():
                    self._running().apply(config)
            except MlvpndError as error:
                self._reload_failed(error)
                raise
            else:
                _config_log.info("configuration reloaded", extra=fields("reloaded"))
                self._reports.tell(Reloaded(ok=True))
                return warnings
            finally:
                self._notifier.ready(self._service_text())

    def _reload_failed(self, error: MlvpndError) -> None:
        problems = error.problems if isinstance(error, ConfigError) else (error,)
        for problem in problems:
            _config_log.error("%s", problem)
        _config_log.warning("reload failed", extra=fields("reload-failed", problem=error))
        self._reports.tell(Reloaded(ok=False, message=str(error)))

    def _stop(self, reason: str, code: int) -> None:
        if not self._stopping.is_set():
            _log.log(logging.CRITICAL if code else logging.INFO, "%s", reason, extra=log.ASKED)
            self._exit_code = code
            self._stopping.set()

    # Configuration.

    async def _read_config(self) -> tuple[Config, Sequence[str]]:
        """The file's configuration, and what it was warned of."""
        try:
            text = await self._helper.open_config()
        except MlvpndError as error:
            raise ConfigUnreadable(str(error)) from None
        password = self._service.password if self._service is not None else None
        result = configuration.parse(text, self._options.config_path, require_password=password is None)
        for warning in result.warnings:
            _config_log.warning("%s", warning)
        config = result.config if password is None else dataclasses.replace(result.config, password=password)
        if isinstance(self._helper, ServiceHelper):
            self._helper.config = config
        return config, tuple(map(str, result.warnings))

    def _hup(self) -> None:
        if self._reload_due is None and not self._stopping.is_set():
            self._reload_due = asyncio.get_running_loop().call_later(RELOAD_DELAY, self._begin_reload)

    def _begin_reload(self) -> None:
        self._reload_due = None
        if self._reloading is not None and not self._reloading.done():
            self._hup()  # after the one that runs
            return
        self._reloading = watched(asyncio.get_running_loop().create_task(self._reload(), name="reload"))

    async def _reload(self) -> None:
        _config_log.info("reload (SIGHUP)")
        with contextlib.suppress(MlvpndError):  # it is in the log
            await self.reload()

    async def _reload_for_socket(self) -> str:
        """The private socket's answer to `reload`."""
        _config_log.info("reload (private socket)")
        try:
            warnings = await self.reload()
        except MlvpndError as error:
            return json.dumps({"error": str(error)}) + "\n"
        return json.dumps({"ok": True, "warnings": warnings}) + "\n"

    async def _forget_for_socket(self) -> str:
        """The private socket's answer to `forget`."""
        try:
            self.forget()
        except MlvpndError as error:
            return json.dumps({"error": str(error)}) + "\n"
        return json.dumps({"ok": True}) + "\n"

    # What is visible from outside.

    async def _serve_control(self, config: Config) -> None:
        """Opens the control sockets and serves them until it is cancelled."""
        servers: list[ControlServer] = []
        try:
            # The private socket first: the other one may need a look-up.
            if (private := self._open_private()) is not None:
                servers.append(private)
                await private.start()
            servers.append(await self._open_control(config))
            await servers[-1].start()
            await asyncio.get_running_loop().create_future()
        except OSError as error:
            log.logger("control").warning("listen error: %s", error.strerror)
        finally:
            for server in servers:
                await server.close()

    def _open_private(self) -> ControlServer | None:
        """The socket that takes `reload` even if the host's bus is down."""
        if self._service is None:
            return None
        path = f"{RUNTIME_DIRECTORY}/{self._service.instance}/{PRIVATE_SOCKET}"
        try:
            actions = {"reload": self._reload_for_socket, "forget": self._forget_for_socket}
            return ControlServer(self.snapshot, listen(path), actions=actions)
        except MlvpndError as error:
            log.logger("control").warning("cannot bind socket %s: %s", path, error)
            return None

    async def _open_control(self, config: Config) -> ControlServer:
        addresses: list[resolve.Resolved] = []
        unix: socket.socket | None = None
        host, port = config.control_bind_host, config.control_bind_port
        try:
            unix = await self._helper.open_control() if config.control_unix_path else None
        except MlvpndError as error:
            _warn_of_control(f"cannot bind socket {config.control_unix_path}: ", error)
        try:
            if host and port:
                addresses = await resolve.addresses(host, port, lambda: self._helper.resolve("control"))
        except MlvpndError as error:
            _warn_of_control(f"priv_getaddrinfo({host},{port}) failed: ", error)
        return ControlServer(self.snapshot, unix, addresses)

    async def _keep_title(self, tunnel: Tunnel) -> None:
        while True:
            text = status.title(snapshot.take(tunnel, self._options))
            proctitle.set_title(f"mlvpn: {text}", natural=self._options.natural_title)
            self._notifier.status(self._service_text())
            tunnel.changed.clear()
            await tunnel.changed.wait()
            await asyncio.sleep(TITLE_DELAY)

    def _service_text(self) -> str:
        return status.service_text(self.snapshot())

    def _start_bus(self) -> BusService | None:
        if self._service is None:
            return None
        from mlvpnd.bus.service import BusService  # by hand there is no bus, and no library for it

        bus = BusService(self, self._service.instance)
        self._bus_task = watched(asyncio.get_running_loop().create_task(bus.run(), name="bus"))
        return bus

    async def _is_restart(self) -> bool:
        """Whether systemd is about to start us again; False if that is not known."""
        if self._service is None or self._exit_code:
            return False
        from mlvpnd.bus.manager import is_restarting

        return await is_restarting(self._service.instance)

    def _keep_syslog(self) -> None:
        """Has the helper reconnect the system log after its restart: the daemon cannot reach /dev/log."""
        syslog = self._syslog
        if syslog is None:
            return
        loop = asyncio.get_running_loop()
        asking: set[asyncio.Task[None]] = set()

        async def ask() -> None:
            try:
                syslog.attach(await self._helper.open_log())
            except MlvpndError:
                syslog.attach(None)  # there is no log to write this to

        def reopen() -> socket.socket | None:
            if not asking and not loop.is_closed():
                task = loop.create_task(ask())
                asking.add(task)
                task.add_done_callback(asking.discard)
            return None

        syslog.reopen = reopen


def _warn_of_control(said: str, error: MlvpndError) -> None:
    """Warns in upstream's words, once: the helper's error may begin with them already."""
    log.logger("control").warning("%s%s", said, str(error).removeprefix(said).removeprefix(said.removeprefix("priv_")))
