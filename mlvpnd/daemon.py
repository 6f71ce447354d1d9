"""The life of the unprivileged process: configuration and interface in, a tunnel, signals, an exit code.

It is started in its sandbox, with all that it needs imported (`preload`) and the helper at the other
end of a socket; it opens no path and starts no program.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket

from . import config as configuration
from . import log, proctitle, resolve, snapshot, status
from .config.model import Config
from .config.problems import ConfigError
from .control import ControlServer
from .errors import MlvpndError
from .helper.client import HelperClient
from .net import bpf
from .net.tun import TunDevice
from .options import Options
from .tasks import watched
from .tunnel import Tunnel

RELOAD_DELAY = 0.1
"""Seconds in which several SIGHUPs are one: `pkill -HUP mlvpn` signals both processes, and one tells the other."""
STOP_LIMIT = 65.0
"""Seconds that the status command has at a stop."""
TITLE_DELAY = 0.05
"""Seconds in which several changes of state are one change of the title."""

_log = log.logger()
_config_log = log.logger("config")


def preload() -> None:
    """Imports and opens everything that is needed after the root directory has changed."""
    bpf.preload()
    # Python loads this codec when the first name is looked up or a socket is bound by a name.
    "localhost".encode("idna")


def run(options: Options, helper: HelperClient) -> int:
    """Runs the tunnel to its end; returns the exit code: 0 after a clean stop, 1 after a fatal error.

    The log is set up already: in the chroot there is no /dev/log to be found.
    """
    handlers = logging.getLogger(log.ROOT).handlers
    syslog = next((handler for handler in handlers if isinstance(handler, log.SyslogHandler)), None)
    try:
        with asyncio.Runner() as runner:
            return runner.run(Daemon(options, helper, syslog).run())
    except MlvpndError as error:
        _log.critical("%s", error)
        return 1


class Daemon:
    """One run of the daemon."""

    def __init__(self, options: Options, helper: HelperClient, syslog: log.SyslogHandler | None) -> None:
        self._options = options
        self._helper = helper
        self._syslog = syslog
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._reload_due: asyncio.TimerHandle | None = None
        self._reloading: asyncio.Task[None] | None = None
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
        config = await self._read_config()
        opened = await self._helper.open_tun()
        _log.info("created interface `%s'", opened.name)
        tunnel = self._tunnel = Tunnel(config, self._helper, TunDevice(opened.fd), opened.name, opened.mtu)
        await tunnel.configure_interface()
        tunnel.start()
        self._started.set()
        # Its name may take long to look up, and the links have no need of it.
        control = watched(loop.create_task(self._serve_control(config), name="control"))
        titles = watched(loop.create_task(self._keep_title(tunnel), name="title"))
        gc.freeze()  # what lives from the start to the end need not be looked through again and again
        try:
            await self._stopping.wait()
        finally:
            titles.cancel()
            control.cancel()
            await asyncio.wait([control])
            await tunnel.stop(STOP_LIMIT)
        return self._exit_code

    def _stop(self, reason: str, code: int) -> None:
        if not self._stopping.is_set():
            _log.log(logging.CRITICAL if code else logging.INFO, "%s", reason)
            self._exit_code = code
            self._stopping.set()

    # Configuration.

    async def _read_config(self) -> Config:
        text = await self._helper.open_config()
        result = configuration.parse(text, self._options.config_path)
        for warning in result.warnings:
            _config_log.warning("%s", warning)
        return result.config

    def _hup(self) -> None:
        if self._reload_due is None and not self._stopping.is_set():
            self._reload_due = asyncio.get_running_loop().call_later(RELOAD_DELAY, self._begin_reload)

    def _begin_reload(self) -> None:
        self._reload_due = None
        if self._reloading is not None and not self._reloading.done():
            self._hup()  # one after the other
            return
        self._reloading = watched(asyncio.get_running_loop().create_task(self._reload(), name="reload"))

    async def _reload(self) -> None:
        """Reads the file again; a wrong one changes nothing."""
        _config_log.info("reload (SIGHUP)")
        await self._started.wait()
        assert self._tunnel is not None  # noqa: S101  (it has started)
        try:
            config = await self._read_config()
        except ConfigError as error:
            for problem in error.problems:
                _config_log.error("%s", problem)
            _config_log.warning("reload failed")
            return
        except MlvpndError as error:
            _config_log.warning("reload failed: %s", error)
            return
        if not self._stopping.is_set():
            self._tunnel.apply(config)

    # What is seen from outside.

    async def _serve_control(self, config: Config) -> None:
        """Opens the control sockets and serves them until it is cancelled."""
        server = await self._open_control(config)
        try:
            await server.start()
            await asyncio.get_running_loop().create_future()
        except OSError as error:
            log.logger("control").warning("listen error: %s", error.strerror)
        finally:
            await server.close()

    async def _open_control(self, config: Config) -> ControlServer:
        def current() -> status.TunnelStatus:
            assert self._tunnel is not None  # noqa: S101  (the server is opened after it)
            return snapshot.take(self._tunnel, self._options)

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
        return ControlServer(current, unix, addresses)

    async def _keep_title(self, tunnel: Tunnel) -> None:
        while True:
            text = status.title(snapshot.take(tunnel, self._options))
            proctitle.set_title(f"mlvpn: {text}", natural=self._options.natural_title)
            tunnel.changed.clear()
            await tunnel.changed.wait()
            await asyncio.sleep(TITLE_DELAY)

    def _keep_syslog(self) -> None:
        """A system log that was restarted is found again through the helper: /dev/log is out of our reach."""
        syslog = self._syslog
        if syslog is None:
            return
        loop = asyncio.get_running_loop()
        asking: set[asyncio.Task[None]] = set()

        async def ask() -> None:
            try:
                syslog.attach(await self._helper.open_log())
            except MlvpndError:
                syslog.attach(None)  # there is no log to say it in

        def reopen() -> socket.socket | None:
            if not asking and not loop.is_closed():
                task = loop.create_task(ask())
                asking.add(task)
                task.add_done_callback(asking.discard)
            return None

        syslog.reopen = reopen


def _warn_of_control(said: str, error: MlvpndError) -> None:
    """In upstream's words, which the helper may have used already."""
    log.logger("control").warning("%s%s", said, str(error).removeprefix(said).removeprefix(said.removeprefix("priv_")))
