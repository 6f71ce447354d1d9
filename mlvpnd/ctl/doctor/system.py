"""The host's parameters, counters and files, as far as checks ask for them."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from .network import IPAddress

_STUB = "127.0.0.53"
"""The address of systemd-resolved in /etc/resolv.conf."""
_BYTES_OF_MBIT = 125_000


class System:
    """Reads below four directories, so that tests can give others. What cannot be read is None or nothing."""

    def __init__(
        self, proc: Path = Path("/proc"), sys: Path = Path("/sys"), etc: Path = Path("/etc"), run: Path = Path("/run")
    ) -> None:
        self._proc = proc
        self._sys = sys
        self._etc = etc
        self._run = run

    def parameter(self, name: str) -> int | None:
        """A parameter of the kernel, as `net/ipv4/ip_forward`."""
        return _number(self._proc / "sys" / name)

    def forwards(self, version: int, interface: str) -> bool:
        """Whether packets that come in by the interface are forwarded."""
        own = self.parameter(f"net/ipv{version}/conf/{interface}/forwarding")
        if own is None or version == 6:  # IPv6 asks for both
            return self.parameter(f"net/ipv{version}/conf/all/forwarding") == 1
        return own == 1

    def misaddressed(self, version: int) -> int:
        """Packets that came for other hosts and were dropped because forwarding is off."""
        if version == 4:
            words = [line.split() for line in _lines(self._proc / "net/snmp") if line.startswith("Ip:")]
            if len(words) != 2:
                return 0
            return int(dict(zip(*words, strict=False)).get("InAddrErrors", 0))
        found = dict(line.split() for line in _lines(self._proc / "net/snmp6") if len(line.split()) == 2)
        return int(found.get("Ip6InAddrErrors", 0))

    def unread(self, port: int) -> int:
        """Datagrams to a local UDP port that were dropped because the program did not read its socket in time."""
        dropped = 0
        for table in ("udp", "udp6"):
            for line in _lines(self._proc / "net" / table)[1:]:
                words = line.split()
                if int(words[1].rpartition(":")[2], 16) == port:
                    dropped += int(words[-1])
        return dropped

    def speed(self, interface: str) -> int:
        """The speed of an Ethernet interface in bytes per second; 0: it has none."""
        return max(0, _number(self._sys / "class/net" / interface / "speed") or 0) * _BYTES_OF_MBIT

    def nameservers(self) -> list[IPAddress]:
        """The resolver's servers, also those behind systemd-resolved."""
        found = self._servers(self._etc / "resolv.conf")
        if _STUB in map(str, found):
            found = self._servers(self._run / "systemd/resolve/resolv.conf") or found
        return found

    def in_hosts(self, name: str) -> bool:
        """Whether /etc/hosts has an address for the name."""
        lines = _lines(self._etc / "hosts")
        return any(name in line.partition("#")[0].split()[1:] for line in lines)

    def hidden_tables(self) -> bool:
        """Whether there are rules of the old iptables, which nftables does not show."""
        return any(_lines(self._proc / "net" / name) for name in ("ip_tables_names", "ip6_tables_names"))

    def _servers(self, path: Path) -> list[IPAddress]:
        found = []
        for line in _lines(path):
            words = line.split()
            if len(words) >= 2 and words[0] == "nameserver":
                try:
                    found.append(ip_address(words[1].partition("%")[0]))
                except ValueError:
                    continue
        return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
