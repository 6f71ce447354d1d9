"""What the helper does for each request. All data come from the configuration file, which each request reads anew.

An MlvpndError is an error that the caller may read; the server turns it into an answer.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mlvpnd.config import ConfigError, parse, passwords
from mlvpnd.config import file as config_file
from mlvpnd.config.model import Config, LinkConfig
from mlvpnd.errors import MlvpndError
from mlvpnd.logs.log import connect_syslog, logger

from . import interface, kill_switch, network, requests, script, sockets, state_file
from .resolver import Resolver
from .up_links import UpLinks

_log = logger("privsep")


class OperationError(MlvpndError):
    """The request cannot be served; the text is for the daemon's log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back besides `ok`. The server closes the descriptor once it is sent."""

    members: dict[str, object] = field(default_factory=dict)
    descriptor: int | None = None


class Operations:
    """The table of requests.

    What must be known later is kept where a new helper process finds it: in the file, in the kernel, and in
    `up_links_path`. The last has the links that the status command believes up (empty path: in memory only). All else
    that is remembered only makes the by-hand helper, which stays, do better.

    `uid` and `gid` are the daemon's. Must be made and used within one event loop.
    """

    def __init__(
        self, config_path: str, uid: int, gid: int, *, follow_symlinks: bool = True, up_links_path: str = ""
    ) -> None:
        self._config_path = config_path
        self._table = kill_switch.table_of(config_path)
        self._follow_symlinks = follow_symlinks
        self._last_good: Config | None = None
        self._up_links = UpLinks(up_links_path)
        self._configured = 0
        """The index of the interface that has addresses and routes of ours; 0: none."""
        self._network_turn = asyncio.Lock()
        self._scripts = script.ScriptRunner()
        self._resolver = Resolver()
        self._control = sockets.ControlSocket(uid, gid)
        self._state_turn = asyncio.Lock()

    async def perform(self, request: requests.Request, descriptor: int | None) -> Answer:
        """Serves one request and closes its descriptor. Raises MlvpndError."""
        handler = _HANDLERS[type(request)]
        if descriptor is None:
            return await handler(self, request)
        try:
            return await handler(self, request, descriptor)
        finally:
            os.close(descriptor)

    async def close(self) -> None:
        """Waits for the running script. What was set up stays."""
        await self._scripts.close()

    async def undo(self) -> None:
        """Undoes what was set up: the daemon is gone for good."""
        self._control.remove()
        async with self._network_turn:
            if not self._configured:
                return
            try:
                await asyncio.to_thread(self._withdraw, self._name_of_configured())
            except network.NetworkError as error:
                _log.warning("cannot undo: %s", error)

    def _name_of_configured(self) -> str:
        try:
            return socket.if_indextoname(self._configured)
        except OSError:
            return ""  # it went with the daemon

    # Configuration

    def _config(self) -> Config:
        """The configuration in the file; while the file is wrong, the last right one, which is the one that runs."""
        try:
            text = config_file.read(self._config_path, follow_symlinks=self._follow_symlinks)
            # The daemon may have a password from elsewhere, and reports it if it has none.
            config = parse(text, self._config_path, require_password=False).config
        except ConfigError:
            if self._last_good is None:
                raise
            return self._last_good
        self._last_good = config
        return config

    def _link(self, name: str) -> LinkConfig:
        link = self._config().link(name)
        if link is None:
            raise OperationError(f"no link {name!a} in {self._config_path}")
        return link

    async def open_config(self, _request: requests.OpenConfig) -> Answer:
        members: dict[str, object] = {}
        try:
            config = self._config()  # remembered as what runs
        except MlvpndError:
            pass  # the daemon reads the file too, and reports what is wrong
        else:
            shared = await asyncio.to_thread(passwords.files_with_password_of, config, self._config_path)
            if shared:
                members["same_password"] = list(shared)
        return Answer(
            members, descriptor=config_file.open_file(self._config_path, follow_symlinks=self._follow_symlinks)
        )

    # The interface

    def _device_name(self, config: Config, descriptor: int) -> str:
        """The name of the daemon's interface. It may differ from the file's: a pattern, a new value, a renaming."""
        name = interface.attached(descriptor) or config.interface_name
        if "%" in name:
            raise OperationError(f"interface {name} is gone")
        return name

    async def open_tun(self, _request: requests.OpenTun) -> Answer:
        config = self._config()
        device = interface.open_tun(config.interface_name, config.tuntap)
        try:
            mtu = self._set_mtu(device.name, config, ipv6_path=False)
        except MlvpndError:
            os.close(device.descriptor)
            raise
        return Answer({"name": device.name, "mtu": mtu}, device.descriptor)

    async def configure_tun(self, request: requests.ConfigureTun, descriptor: int) -> Answer:
        async with self._network_turn:
            config = self._config()
            name = self._device_name(config, descriptor)
            before = interface.get_mtu(name)
            mtu = self._set_mtu(name, config, ipv6_path=request.ipv6_path)
            done = [f"mtu {mtu}"] if mtu != before else []
            refused: list[str] = []
            if config.configure_interface:
                self._configured = socket.if_nametoindex(name)
                for one in (network.apply, self._hold):
                    try:
                        done += await asyncio.to_thread(one, name, config, default_routes=request.default_routes)
                    except network.NetworkError as error:
                        refused.append(str(error))
                        done += error.done
            else:
                await asyncio.to_thread(self._withdraw, name)
                self._limit_gso(name, mtu)
            return Answer({"mtu": mtu, "done": done, "refused": "; ".join(refused)})

    async def unconfigure_tun(self, _request: requests.UnconfigureTun, descriptor: int) -> Answer:
        async with self._network_turn:
            name = interface.attached(descriptor)
            await asyncio.to_thread(self._withdraw, name)
            return Answer()

    def _hold(self, name: str, config: Config, *, default_routes: bool) -> list[str]:
        return kill_switch.apply(name, config, self._table, default_routes=default_routes)

    def _withdraw(self, name: str) -> None:
        """Removes what was set, also by an earlier process; without a name, the interface is gone."""
        if not name or network.withdraw(name):
            kill_switch.release(self._table)

    def _set_mtu(self, name: str, config: Config, *, ipv6_path: bool) -> int:
        """Sets the MTU; returns the one that the interface then has. A refusal does not stop the daemon."""
        try:
            interface.set_mtu(name, config.effective_mtu(ipv6_path=ipv6_path or _has_ipv6_literal(config)))
        except interface.InterfaceError as error:
            _log.warning("%s", error)
        return interface.get_mtu(name)

    def _limit_gso(self, name: str, mtu: int) -> None:
        """For a file that configures nothing else. Like the MTU, the limit stays on an interface that stays."""
        try:
            interface.limit_gso(name, network.gso_limit(mtu))
        except interface.InterfaceError as error:
            _log.debug("%s", error)

    # Sockets

    async def tune_socket(self, request: requests.TuneSocket, descriptor: int) -> Answer:
        self._link(request.link)
        with sockets.udp_socket(descriptor) as sock:
            sockets.tune(sock)
        return Answer()

    async def bind_socket(self, request: requests.BindSocket, descriptor: int) -> Answer:
        link = self._link(request.link)
        with sockets.udp_socket(descriptor) as sock:
            await sockets.bind(sock, link, self._resolver)
        return Answer()

    async def open_control(self, _request: requests.OpenControl) -> Answer:
        path = self._config().control_unix_path
        if not path:
            self._control.remove()
            return Answer()
        return Answer(descriptor=self._control.open(path).detach())

    async def open_log(self, _request: requests.OpenLog) -> Answer:
        sock = connect_syslog()
        return Answer(descriptor=sock.detach() if sock is not None else None)

    # What outlasts a stop

    async def read_state(self, _request: requests.ReadState) -> Answer:
        async with self._state_turn:
            try:
                text = await asyncio.to_thread(state_file.read, state_file.path_by_hand(self._config_path))
            except OSError as error:
                raise OperationError(f"the state file cannot be read: {error.strerror}") from None
        return Answer(descriptor=None if text is None else state_file.in_memory(text))

    async def write_state(self, _request: requests.WriteState, descriptor: int) -> Answer:
        path = state_file.path_by_hand(self._config_path)
        async with self._state_turn:
            try:
                text = state_file.read_descriptor(descriptor)
                await asyncio.to_thread(state_file.write, path, text)
            except OSError as error:
                raise OperationError(f"{path}: {error.strerror}") from None
        return Answer()

    # Names

    async def resolve(self, request: requests.Resolve) -> Answer:
        if request.link is None:
            config = self._config()
            host, service = config.control_bind_host, config.control_bind_port
            found = await self._resolver.resolve(host or None, service, kind=socket.SOCK_STREAM, passive=True)
            return Answer({"addresses": found})
        link = self._link(request.link)
        if request.end is requests.End.BIND:
            found = await self._resolver.resolve(link.bindhost or None, link.bindport or "0", passive=True)
        elif link.remotehost:
            found = await self._resolver.resolve(link.remotehost, link.remoteport)
        else:
            raise OperationError(f"{link.name} has no remotehost")
        return Answer({"addresses": found})

    # The status command

    async def run_script(self, request: requests.RunScript, descriptor: int) -> Answer:
        config = self._config()
        if request.link is not None and not self._may_name(request.link, request.event, config):
            raise OperationError(f"no link {request.link!a} in {self._config_path}")
        if not config.statuscommand:
            return Answer({"rc": 0})
        device = self._device_name(config, descriptor)
        try:
            mtu = interface.get_mtu(device)
        except interface.InterfaceError:
            mtu = config.effective_mtu(ipv6_path=_has_ipv6_literal(config))
        run = script.compose(config, request.event, request.link, device, mtu)
        if request.link is not None:
            self._up_links.note(request.link, up=request.event is requests.ScriptEvent.RTUN_UP)
        return Answer({"rc": await self._scripts.run(run)})

    @property
    def owes_an_end(self) -> bool:
        """Whether the status command was told that a link is up and must still be told that it is down."""
        return bool(self._up_links.names())

    def _may_name(self, link: str, event: requests.ScriptEvent, config: Config) -> bool:
        """Whether the script may be told of the link: in the file, or removed by a reload and now going down."""
        return config.link(link) is not None or (
            event is requests.ScriptEvent.RTUN_DOWN and link in self._up_links.names()
        )


def _has_ipv6_literal(config: Config) -> bool:
    """Whether an address of the file makes an IPv6 path certain."""
    return any(":" in host for link in config.links for host in (link.bindhost, link.remotehost))


# Each handler takes the request class of its row, which the type system cannot say of a table.
_HANDLERS: dict[type[requests.Request], Callable[..., Awaitable[Answer]]] = {
    requests.OpenConfig: Operations.open_config,
    requests.OpenTun: Operations.open_tun,
    requests.ConfigureTun: Operations.configure_tun,
    requests.UnconfigureTun: Operations.unconfigure_tun,
    requests.TuneSocket: Operations.tune_socket,
    requests.BindSocket: Operations.bind_socket,
    requests.RunScript: Operations.run_script,
    requests.Resolve: Operations.resolve,
    requests.OpenControl: Operations.open_control,
    requests.OpenLog: Operations.open_log,
    requests.ReadState: Operations.read_state,
    requests.WriteState: Operations.write_state,
}
