"""A host of a lab with files of its own: what is typed there changes neither /etc nor /dev of this machine."""

from __future__ import annotations

import subprocess

from .lab import Host, LabError

# The network is the host's. $1 is a directory for what is changed. systemd of this machine is out of sight.
_FURNISH = """
mount -t tmpfs -o mode=755 files "$1" &&
mkdir "$1/new" "$1/work" &&
mount -t overlay -o "lowerdir=/etc,upperdir=$1/new,workdir=$1/work" files /etc &&
mount -t tmpfs -o mode=755 device /dev/net &&
mknod -m 666 /dev/net/tun c 10 200 &&
mount -t tmpfs -o mode=755 systemd /run/systemd &&
echo 'hosts: files dns' >/etc/nsswitch.conf &&
: >/etc/resolv.conf &&
echo ready && exec sleep infinity
"""


class OwnFiles:
    """Runs programs on a host, with /etc, /dev/net and /run/systemd of its own. They last as long as the lab."""

    def __init__(self, host: Host) -> None:
        self.host = host
        directory = host.run("mktemp", "-d", "-p", "/run").strip()
        self._process = host.start(
            "unshare", "-m", "sh", "-c", _FURNISH, "sh", directory, stdout=subprocess.PIPE, stderr=None
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise LabError(f"{host.name}: no files of its own")
        host.run("rmdir", directory)  # the mount is in the other namespace only
        self.enter = ("nsenter", "-t", str(self._process.pid), "-m", "-n", "--")
        """The words that run a program here."""

    def run(self, *argv: str, timeout: float = 30) -> str:
        """Runs a program, which may fail; returns its standard output."""
        words = [*self.enter, *argv]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout).stdout

    def type(self, command: str) -> None:
        """Runs a line of shell as an operator would; if it fails, LabError with its errors."""
        words = [*self.enter, "sh", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
        if done.returncode:
            raise LabError(f"{command}: exit status {done.returncode}: {done.stderr.strip()}")
