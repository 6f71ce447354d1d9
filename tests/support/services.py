"""A server and a client as `mlvpn@mlvpn0.service` on two nodes: one link for each line of the lab."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .daemons import config_text
from .lab import SERVER_IPV4, Direction, Lab, wait_until
from .nodes import Node, NodeError, Nodes
from .traffic import TcpTransfer, UdpStream, ping
from .tunnels import BYTES_PER_MBIT, CLIENT_INNER_IPV4, FIRST_PORT, SERVER_INNER_IPV4, link_name

INSTANCE = "mlvpn0"
UNIT = f"mlvpn@{INSTANCE}.service"
CONFIG = f"/etc/mlvpn/{INSTANCE}.conf"
ROUTED = "10.99.0.0/24"
"""A route into the tunnel on both ends, from the configuration file."""
PASSWORD = "pleasechangeme!"
UP_LIMIT = 10.0
_INFO = 6
"""syslog's number of the level information."""

Keys = Mapping[str, object]


class Service:
    """The tunnel's unit on one node."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def configure(self, text: str) -> None:
        """Puts the file in place and runs the generator."""
        self.node.write(CONFIG, text, mode=0o600)
        self.node.run("systemctl", "daemon-reload")

    def ctl(self, verb: str, *, timeout: float = 30) -> None:
        """Runs `systemctl VERB` on the unit."""
        self.node.run("systemctl", verb, UNIT, timeout=timeout)

    def fails(self, verb: str) -> str:
        """Runs `systemctl VERB`, which has to fail; returns its message."""
        done = self.node.attempt("systemctl", verb, UNIT)
        assert done.returncode, f"systemctl {verb} did not fail"
        return done.stderr

    @property
    def pid(self) -> int:
        """The daemon's process id, inside the node; 0 if it does not run."""
        return int(self.node.show(UNIT, "MainPID"))

    @property
    def restarts(self) -> int:
        """How often systemd has restarted it by itself since the last start."""
        return int(self.node.show(UNIT, "NRestarts"))

    @property
    def state(self) -> str:
        """`active`, `failed` and so on."""
        return self.node.show(UNIT, "ActiveState")

    def signal(self, name: str) -> None:
        """Sends a signal directly to the daemon, not through systemd."""
        self.node.run("kill", f"-{name}", str(self.pid))

    def status_text(self) -> str:
        """The daemon's text in `systemctl status`."""
        return self.node.show(UNIT, "StatusText")

    def wait_links(self, *names: str, mark: str = "@", timeout: float = UP_LIMIT) -> None:
        """Waits until the named links have this mark in the status text."""
        wanted = {f"{mark}{name}" for name in names}
        # The text of a killed daemon stays until the next one is ready.
        if not wait_until(lambda: self.state == "active" and wanted <= set(self.status_text().split()), timeout):
            raise NodeError(f"{self.node.name}: {wanted} is not in {self.status_text()!r}\n{self.log()[-4000:]}")

    def interface(self) -> dict[str, Any]:
        """The parts that must outlive a restart: the interface's number, addresses and routes."""
        (link,) = json.loads(self.node.run("ip", "-j", "addr", "show", "dev", INSTANCE))
        addresses = sorted(f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"])
        routes = sorted(
            entry["dst"] for entry in json.loads(self.node.run("ip", "-j", "route", "show", "dev", INSTANCE))
        )
        return {"ifindex": link["ifindex"], "mtu": link["mtu"], "addresses": addresses, "routes": routes}

    def log(self, *, since: float = 0.0) -> str:
        """The lines of the unit's journal from `since` on, a Unix time."""
        return "\n".join(entry["MESSAGE"] for entry in self.entries(f"_SYSTEMD_UNIT={UNIT}", since=since))

    def entries(self, *matches: str, since: float = 0.0) -> list[dict[str, str]]:
        """Entries of the journal from `since` on, a Unix time, that match, for example `MLVPN_EVENT=link-down`."""
        self.node.run("journalctl", "--sync")
        words = ("--output", "json", "--all", "--no-pager", f"--since=@{since:.6f}")
        return [json.loads(line) for line in self.node.run("journalctl", *words, *matches).splitlines()]

    def told(self, *, since: float) -> list[tuple[str, str]]:
        """The messages above information since a Unix time, in order: each event, or the line if it is none, with the
        link. Only the daemon and its helpers count, because systemd itself also reports how a unit ends."""
        own = [f"SYSLOG_IDENTIFIER={name}" for name in ("mlvpnd", "mlvpn-helper", "mlvpn-script")]
        loud = [entry for entry in self.entries(*own, since=since) if int(entry["PRIORITY"]) < _INFO]
        return [(entry.get("MLVPN_EVENT", entry["MESSAGE"]), entry.get("MLVPN_LINK", "")) for entry in loud]

    def wait_entry(self, *matches: str, since: float = 0.0, timeout: float = 5.0) -> dict[str, str]:
        """Waits for an entry that matches; returns the first."""
        found: list[dict[str, str]] = []

        def done() -> bool:
            found[:] = self.entries(*matches, since=since)
            return bool(found)

        if not wait_until(done, timeout):
            raise NodeError(f"{self.node.name}: no entry {matches} within {timeout} s\n{self.log(since=since)[-4000:]}")
        return found[0]


class ServiceTunnel:
    """Both ends of a tunnel."""

    def __init__(self, lab: Lab, nodes: Nodes) -> None:
        self.lab = lab
        self.nodes = nodes
        self.client = Service(nodes.client)
        self.server = Service(nodes.server)

    @property
    def links(self) -> tuple[str, ...]:
        """The names of the links."""
        return tuple(link_name(line.number) for line in self.lab.lines)

    def config(self, end: str, general: Keys | None = None) -> str:
        """The file of `client` or `server`. `general` has more keys; None leaves one out."""
        address = SERVER_INNER_IPV4 if end == "server" else CLIENT_INNER_IPV4
        keys = {
            "mode": end,
            "password": PASSWORD,
            "interface_name": INSTANCE,
            "configure_interface": 1,
            "ip4": f"{address}/24",
            "ip4_routes": ROUTED,
            "timeout": 2,
            "reorder_buffer_size": 512,
        }
        sections: dict[str, Keys] = {}
        for line in self.lab.lines:
            port = FIRST_PORT + line.number - 1
            sending = Direction.TO_SERVER if end == "client" else Direction.TO_CLIENT
            weight = {"bandwidth_upload": round(line.conditions(sending).rate * BYTES_PER_MBIT)}
            if end == "server":
                ends: dict[str, object] = {"bindhost": SERVER_IPV4, "bindport": port}
            else:
                ends = {"bindhost": line.client.ipv4, "remotehost": SERVER_IPV4, "remoteport": port}
            sections[link_name(line.number)] = ends | weight
        return config_text({**keys, **(general or {})}, sections)

    def ensure_up(self, general: Keys | None = None) -> None:
        """Makes both ends run on these files, with all links up, whatever their state before."""
        for end, service in (("server", self.server), ("client", self.client)):
            text = self.config(end, general)
            if service.state != "active" or service.node.read(CONFIG) != text:
                service.ctl("stop")
                service.configure(text)
                service.ctl("start")
        self.wait_up()

    def wait_up(self, timeout: float = UP_LIMIT) -> None:
        """Waits until all links are up on both ends."""
        for service in (self.server, self.client):
            service.wait_links(*self.links, timeout=timeout)

    def ping(self, count: int = 3) -> int:
        """How many of `count` echo requests from the client the server answered."""
        return ping(self.nodes.client.host, SERVER_INNER_IPV4, count=count).received

    def download(self, seconds: float) -> TcpTransfer:
        """Starts a transfer from the server to the client through the tunnel."""
        client, server = self.nodes.client.host, self.nodes.server.host
        return TcpTransfer(server, client, CLIENT_INNER_IPV4, seconds=seconds, patience=20)

    def stream(self, seconds: float) -> UdpStream:
        """Starts numbered datagrams from the server to the client through the tunnel."""
        client, server = self.nodes.client.host, self.nodes.server.host
        return UdpStream(server, client, CLIENT_INNER_IPV4, seconds=seconds)
