"""Other VPNs between the hosts of `cables`, for benches. Each uses one cable and an interface of MTU 1400."""

from __future__ import annotations

import abc
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from nacl.public import PrivateKey

from .cables import QUEUE, Cables
from .lab import Host, wait_until
from .traffic import wait_for_answer

MTU = 1400
CLIENT, SERVER = "10.43.0.2", "10.43.0.1"
"""Addresses inside the tunnel."""
PORT = 5000
START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0
_LOG_SHOWN = 1500


class PeerError(Exception):
    """A peer is not installed, or did not come up; the text says why."""


class Peer(abc.ABC):
    """One VPN, started on both hosts. Its processes are stopped by their ids."""

    name: str
    programs: Sequence[str]
    """Programs that must be installed."""
    settle = 0.5
    """Seconds from its first packet until it works at its best."""

    def __init__(self, cables: Cables) -> None:
        """PeerError if a program is missing."""
        for program in self.programs:
            if shutil.which(program) is None:
                raise PeerError(f"{program} is not installed")
        self.hosts = {"client": cables.client, "server": cables.server}
        self.directory = cables.directory
        self.outside = {"client": cables.client_address(1), "server": cables.server_address(1)}
        self.inside = {"client": CLIENT, "server": SERVER}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    @abc.abstractmethod
    def version(cls) -> str:
        """Version of the installed program, in its own words."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Writes keys and files."""

    @abc.abstractmethod
    def command(self, end: str) -> Sequence[str]:
        """The command of one end. It runs in the foreground, and logs to standard output or error."""

    def device(self, end: str) -> str:
        """The interface's name."""
        return f"{self.name[:8]}-{end[0]}"

    def connect(self, end: str) -> None:  # noqa: B027 - most need nothing
        """Gives a running process its instructions."""

    def start(self, end: str) -> int:
        """Starts one end; returns its process id."""
        with (self.directory / f"{end}.log").open("ab") as log:
            self.processes[end] = self.hosts[end].start(*self.command(end), stdout=log, stderr=log)
        return self.processes[end].pid

    def wait_up(self) -> None:
        """Waits until a packet passes; if none does, PeerError with the log's end."""
        try:
            for end, host in self.hosts.items():
                if not wait_until(lambda end=end, host=host: self._has_device(host, end), START_TIMEOUT):  # type: ignore[misc]
                    raise PeerError(f"{self.name}: no interface {self.device(end)}: {self._log(end)}")
                self.connect(end)
                other = self.inside["server" if end == "client" else "client"]
                host.ip(
                    f"addr replace {self.inside[end]} peer {other} dev {self.device(end)}",
                    f"link set {self.device(end)} mtu {MTU} txqueuelen {QUEUE} up",
                )
            wait_for_answer(self.hosts["client"], SERVER, START_TIMEOUT)
        except PeerError:
            raise
        except Exception as error:
            raise PeerError(f"{self.name}: {error}: {self._log('client')}") from error

    def stop(self) -> None:
        """Ends both ends."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _has_device(self, host: Host, end: str) -> bool:
        return f" {self.device(end)}:" in host.run("ip", "-o", "link")

    def _log(self, end: str) -> str:
        return (self.directory / f"{end}.log").read_text(errors="replace")[-_LOG_SHOWN:]


class OpenVpn(Peer):
    """AES-256-GCM, TLS between two peers, UDP, all in user space (without its kernel module)."""

    name = "openvpn"
    programs = ("openvpn", "openssl")

    @classmethod
    def version(cls) -> str:
        return _first_line("openvpn", "--version")

    def prepare(self) -> None:
        self._prints = {end: self._certificate(end) for end in self.hosts}

    def _certificate(self, end: str) -> str:
        """Makes a key and its certificate; returns the certificate's fingerprint."""
        key, certificate = (str(self.directory / f"{end}.{kind}") for kind in ("key", "crt"))
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        _run("openssl", "req", "-x509", *curve, "-subj", f"/CN={end}", "-keyout", key, "-out", certificate)
        said = _run("openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256")
        return said.partition("=")[2].strip()

    def command(self, end: str) -> Sequence[str]:
        other = "server" if end == "client" else "client"
        return [
            *("openvpn", "--dev", self.device(end), "--dev-type", "tun", "--proto", "udp", "--disable-dco"),
            *("--local", self.outside[end], "--port", str(PORT), "--remote", self.outside[other], str(PORT)),
            *("--ifconfig", self.inside[end], self.inside[other], "--tun-mtu", str(MTU), "--mssfix", "0"),
            *(f"--tls-{end}", "--dh", "none", "--peer-fingerprint", self._prints[other]),
            *("--cert", str(self.directory / f"{end}.crt"), "--key", str(self.directory / f"{end}.key")),
            *("--data-ciphers", "AES-256-GCM", "--cipher", "AES-256-GCM", "--txqueuelen", str(QUEUE)),
        ]


class WireGuardGo(Peer):
    """ChaCha20-Poly1305, with one thread for each processor. It is configured by the socket that `wg` uses."""

    name = "wireguard-go"
    programs = ("wireguard-go",)
    _SOCKETS = Path("/var/run/wireguard")

    @classmethod
    def version(cls) -> str:
        return _first_line("wireguard-go", "--version")

    def prepare(self) -> None:
        self._keys = {end: PrivateKey.generate() for end in self.hosts}

    def device(self, end: str) -> str:
        # All namespaces share the directory of its socket.
        return f"wg{os.getpid()}{end[0]}"

    def command(self, end: str) -> Sequence[str]:
        return ("wireguard-go", "--foreground", self.device(end))

    def connect(self, end: str) -> None:
        other = "server" if end == "client" else "client"
        lines = [
            "set=1",
            f"private_key={bytes(self._keys[end]).hex()}",
            f"listen_port={PORT}",
            f"public_key={bytes(self._keys[other].public_key).hex()}",
            f"endpoint={self.outside[other]}:{PORT}",
            "allowed_ip=0.0.0.0/0",
        ]
        path = self._SOCKETS / f"{self.device(end)}.sock"
        if not wait_until(path.exists, START_TIMEOUT):
            raise PeerError(f"{self.name}: no {path}: {self._log(end)}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            sock.connect(str(path))
            sock.sendall(("\n".join(lines) + "\n\n").encode())
            answer = sock.recv(1024).decode()
        if not answer.startswith("errno=0\n"):
            raise PeerError(f"{self.name}: it refuses its configuration: {answer!r}")

    def stop(self) -> None:
        super().stop()
        for end in self.hosts:
            (self._SOCKETS / f"{self.device(end)}.sock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._SOCKETS.rmdir()


class Tinc(Peer):
    """Version 1.0 with its defaults: AES-256-CBC and SHA-256."""

    name = "tinc"
    programs = ("tincd",)
    settle = 3.0
    """Seconds; until it knows the largest packet that passes, it sends by TCP."""

    @classmethod
    def version(cls) -> str:
        return _first_line("tincd", "--version")

    def prepare(self) -> None:
        for end in self.hosts:
            other = "server" if end == "client" else "client"
            directory = self.directory / f"tinc-{end}"
            (directory / "hosts").mkdir(parents=True)
            lines = [f"Name = {end}", "AddressFamily = ipv4", f"Interface = {self.device(end)}"]
            lines += [f"BindToAddress = {self.outside[end]} {PORT}", f"ConnectTo = {other}"]
            (directory / "tinc.conf").write_text("\n".join(lines) + "\n")
            host = f"Address = {self.outside[end]}\nPort = {PORT}\nSubnet = {self.inside[end]}/32\n"
            (directory / "hosts" / end).write_text(host)
            _run("tincd", f"--config={directory}", "--generate-keys=2048")  # adds the public key to the host's file
        for end in self.hosts:
            other = "server" if end == "client" else "client"
            public = (self.directory / f"tinc-{other}" / "hosts" / other).read_text()
            (self.directory / f"tinc-{end}" / "hosts" / other).write_text(public)

    def command(self, end: str) -> Sequence[str]:
        files = (f"--config={self.directory / f'tinc-{end}'}", f"--pidfile={self.directory / f'{end}.pid'}")
        return ("tincd", *files, "--no-detach", "--debug=1")


PEERS: Sequence[type[Peer]] = (OpenVpn, WireGuardGo, Tinc)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise PeerError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _first_line(*argv: str) -> str:
    """The first line of a program's output, without the flags of its build."""
    # OpenVPN's exit status is 1 here.
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    lines = (done.stdout or done.stderr).splitlines() or [""]
    return re.split(r" \[|\s\(built| x86_64", lines[0])[0].strip()
