"""A server and a client, configured for a lab: one link for each line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .daemons import START_TIMEOUT, Daemon, DaemonError, config_text
from .lab import SERVER_IPV4, SERVER_IPV6, Direction, Host, Lab, wait_until
from .linkemu import PROJECT

SERVER_INNER_IPV4 = "10.42.0.1"
CLIENT_INNER_IPV4 = "10.42.0.2"
SERVER_INNER_IPV6 = "fd42::1"
CLIENT_INNER_IPV6 = "fd42::2"
FIRST_PORT = 5080
PASSWORD = "pleasechangeme!"
BYTES_PER_MBIT = 125_000
STATUS_SCRIPT = PROJECT / "examples" / "mlvpn_updown.sh"
DATA_PLANE = "MLVPND_TEST_DATA_PLANE"
"""Environment variable: the twin of daemons for which a test names none. Without it the daemons choose themselves."""

Keys = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TunnelSpec:
    """The differences from the plain case: boxed, tun, IPv4 outside, `configure_interface`, timeout 2."""

    general: Keys = field(default_factory=dict)
    """Keys of both files' [general]; None leaves one out."""
    server: Keys = field(default_factory=dict)
    """More keys of the server's [general]."""
    client: Keys = field(default_factory=dict)
    """More keys of the client's [general]."""
    links: Mapping[str, Keys] = field(default_factory=dict)
    """Keys of a link, `link1` and so on, on both ends."""
    client_links: Mapping[str, Keys] = field(default_factory=dict)
    """More keys of the client's links."""
    client_filters: Sequence[tuple[str, str]] = ()
    """Pairs of a link and an expression."""
    client_rules: Sequence[tuple[str, str]] = ()
    """Pairs of an action with its links, and an expression."""
    lines: Sequence[int] | None = None
    """Numbers of the lines that have a link; None: all."""
    ipv6_outside: bool = False
    scripted: bool = False
    """The example's status command brings the interface up, and its calls are recorded."""


def link_name(number: int) -> str:
    """The name of the link over a line of the lab."""
    return f"link{number}"


class Tunnel:
    """A server and a client that belong together, not yet started."""

    def __init__(self, lab: Lab, spec: TunnelSpec) -> None:
        """Files go into the lab's directory. The links' weights are the lines' rates."""
        self._lab = lab
        self._spec = spec
        self.events_path = {end: lab.directory / f"{end}.events" for end in ("server", "client")}
        """Records of each end's calls of the status command, if the tunnel is scripted: see `events`."""
        self.server = self._daemon("server")
        self.client = self._daemon("client")

    def _daemon(self, end: str) -> Daemon:
        control = self._lab.directory / f"{end}.control"
        host = self._lab.server if end == "server" else self._lab.client
        return Daemon(host, self._lab.directory, end, self.config(end), control=control)

    def config(self, end: str, *, general: Keys | None = None, links: Mapping[str, Keys] | None = None) -> str:
        """The file of `server` or `client`. `general` and `links` have other keys, for a reload."""
        spec = self._spec
        ipv4, ipv6 = {
            "server": (SERVER_INNER_IPV4, SERVER_INNER_IPV6),
            "client": (CLIENT_INNER_IPV4, CLIENT_INNER_IPV6),
        }[end]
        keys: dict[str, object] = {
            "mode": end,
            "password": PASSWORD,
            "interface_name": "mlvpn0",
            "ip4": f"{ipv4}/24",
            "ip6": f"{ipv6}/64",
            "timeout": 2,
            "reorder_buffer_size": 512,
            "control_unix_path": self._lab.directory / f"{end}.control",
            "data_plane": os.environ.get(DATA_PLANE),
        }
        if spec.scripted:
            keys["statuscommand"] = self._write_script(end)
        else:
            keys["configure_interface"] = 1
        keys |= spec.general
        keys |= spec.server if end == "server" else spec.client
        keys |= general or {}
        sections = {}
        for line in self._lab.lines:
            if spec.lines is not None and line.number not in spec.lines:
                continue
            name = link_name(line.number)
            section: dict[str, object] = self._addresses(end, line.number)
            section |= spec.links.get(name, {})
            section |= spec.client_links.get(name, {}) if end == "client" else {}
            section |= (links or {}).get(name, {})
            sections[name] = section
        directs = (spec.client_filters, spec.client_rules) if end == "client" else ()
        return config_text(keys, sections, *directs)

    def _addresses(self, end: str, number: int) -> dict[str, object]:
        line = self._lab.line(number)
        server = SERVER_IPV6 if self._spec.ipv6_outside else SERVER_IPV4
        port = FIRST_PORT + number - 1
        sending = Direction.TO_SERVER if end == "client" else Direction.TO_CLIENT
        weight = {"bandwidth_upload": round(line.conditions(sending).rate * BYTES_PER_MBIT)}
        if end == "server":
            return {"bindhost": server, "bindport": port} | weight
        bindhost = line.client.ipv6 if self._spec.ipv6_outside else line.client.ipv4
        return {"bindhost": bindhost, "remotehost": server, "remoteport": port} | weight

    def _write_script(self, end: str) -> Path:
        """Writes the example's script after a line that records the call. Only root can change it, as must be."""
        example = self._lab.directory / STATUS_SCRIPT.name
        wrapper = self._lab.directory / f"{end}.status"
        variables = ("IP4", "IP6", "IP4_GATEWAY", "IP6_GATEWAY", "IP4_ROUTES", "IP6_ROUTES", "DEVICE", "MTU")
        record = "".join(f"{name}=${name};" for name in variables)
        for path, text in (
            (example, STATUS_SCRIPT.read_text()),
            (wrapper, f'#!/bin/sh\necho "$*|{record}" >>{self.events_path[end]}\nexec {example} "$@"\n'),
        ):
            path.touch(mode=0o700)
            path.write_text(text)
        return wrapper

    def events(self, end: str) -> list[tuple[list[str], dict[str, str]]]:
        """Each call of the status command: its arguments, and the variables that the manual promises."""
        calls = []
        path = self.events_path[end]
        for line in path.read_text().splitlines() if path.exists() else ():
            arguments, _, record = line.partition("|")
            variables = dict(item.split("=", 1) for item in record.rstrip(";").split(";"))
            calls.append((arguments.split(), variables))
        return calls

    def start(self) -> None:
        """Starts both ends and waits until every link is up on both, and the interface has its address."""
        self.server.start()
        self.client.start()
        self.wait_up()
        for daemon, address in ((self.server, SERVER_INNER_IPV4), (self.client, CLIENT_INNER_IPV4)):
            # If the status command sets the address, it runs beside the links.
            if not wait_until(partial(has_address, daemon.host, address), START_TIMEOUT):
                raise DaemonError(f"{daemon.name}: its interface has no address {address}\n{daemon.log()}")

    def wait_up(self, *names: str) -> None:
        """Waits until the named links, or all, are up on both ends."""
        for daemon in (self.server, self.client):
            daemon.wait_links("connected", *names)

    def stop(self) -> None:
        """Stops the running ends, the client first. Both must end with status 0."""
        for daemon in (self.client, self.server):
            if daemon.running:
                daemon.stop()

    def kill(self) -> None:
        """Kills the running ends, so that the lab of several tests is free for the next one."""
        for daemon in (self.client, self.server):
            if daemon.running:
                daemon.kill()


def has_address(host: Host, address: str) -> bool:
    """Whether an interface of the host has the address."""
    return f" {address}/" in host.run("ip", "addr")


def insist(host: Host, command: str, shown: str) -> None:
    """Changes a tunnel's interface until the daemon, which puts it back, gives it up; `ip link` then has `shown`."""
    while True:
        host.ip(command)
        if not wait_until(lambda: shown not in host.run("ip", "link", "show", "mlvpn0"), 2):
            return


@contextlib.contextmanager
def running_tunnel(lab: Lab, spec: TunnelSpec | None = None) -> Iterator[Tunnel]:
    """A tunnel that is up. At the end both ends are stopped and must end well; if the block failed, they are killed."""
    tunnel = Tunnel(lab, spec or TunnelSpec())
    try:
        tunnel.start()
        yield tunnel
    except BaseException:
        tunnel.kill()
        raise
    tunnel.stop()
