"""The hosts of a lab as booted Debian systems: containers with systemd as PID 1, a system bus and a journal.

A node's network is the host's namespace in the lab. So everything of the lab works on it: lines, transfers, `Host.run`
with this machine's programs. A node's changes are in memory, also over a reboot; the root below them is shared.

A node is no jail: run nothing in it that you would not run on this machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .lab import Host, Lab, wait_until
from .linkemu import PROJECT

BOOT_LIMIT = 60.0
"""Seconds for a boot; half a second is usual."""

# Rights besides those from systemd-nspawn. The network is the node's own. DeviceAllow=, IPAddressDeny= and the like
# take effect only with CAP_BPF and the system call.
_RIGHTS = (
    "--capability=CAP_NET_ADMIN,CAP_BPF,CAP_PERFMON,CAP_SYS_RESOURCE,CAP_IPC_LOCK",
    "--system-call-filter=bpf perf_event_open @keyring",
)
_NSPAWN_VARIABLES = {
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",  # /proc/sys/net
}
_ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb")

# Runs in its own mount namespace, so that nothing is left when it ends. $1 is a scratch directory. The words up to `--`
# are control groups, the words behind it run the container. The container has its own node for /dev/net/tun, because
# its systemd sets the mode. Each container has its own groups: in one group, two containers would share what
# systemd-nspawn makes there. $2 is the root below the node's changes. 133 is systemd-nspawn's word for a reboot.
_BOOT = """
scratch=$1 lower=$2; shift 2
mount -t tmpfs -o mode=755 node "$scratch" || exit
mkdir "$scratch/upper" "$scratch/work" "$scratch/root" || exit
mount -t overlay -o "lowerdir=$lower,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$scratch/root" || exit
mknod -m 666 "$scratch/tun" c 10 200 || exit
groups=
while [ "$1" != -- ]; do mkdir -p "$1" && groups="$groups $1"; shift; done
shift
while
	sh -c 'for group in $1; do echo $$ >"$group/cgroup.procs" || exit; done; shift; exec "$@"' sh "$groups" "$@"
	status=$?
	for group in $groups; do find "$group" -mindepth 1 -depth -type d -exec rmdir {} +; done
	[ $status = 133 ]
do :; done
for group in $groups; do rmdir "$group"; done
exit $status
"""


class NodeError(AssertionError):
    """A node did not boot, or a command in it failed."""


class Node:
    """A booted system."""

    def __init__(self, name: str, host: Host, leader: int, process: subprocess.Popen[bytes], directory: Path) -> None:
        """`leader` is the PID of the node's systemd as seen from outside. `process` runs the node. `directory` is the
        lab's."""
        self.name = name
        self.host = host
        """The node's network, for programs of this machine."""
        self._process = process
        self._group = _group_mounts()["unified"] / host.name
        self._directory = directory
        self._enter(leader)

    def _enter(self, leader: int) -> None:
        self.leader = leader
        self.root = Path(f"/proc/{leader}/root")
        """The node's files."""
        kinds = ("-m", "-u", "-i", "-p", "-n", "-C", "-r", "-w")
        self.enter = ("nsenter", "-t", str(leader), *kinds, "--", *_ENVIRONMENT)
        """The words that run a program in the node, as root."""

    def run(self, *argv: str, check: bool = True, stdin: str = "", timeout: float = 30) -> str:
        """Runs a program of the node; returns its standard output. If it fails, NodeError with its errors."""
        done = self.attempt(*argv, stdin=stdin, timeout=timeout)
        if check and done.returncode:
            raise NodeError(f"{self.name}: {' '.join(argv)}: exit status {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def attempt(self, *argv: str, stdin: str = "", timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """The same for a program that may fail."""
        words = [*self.enter, *argv]
        return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=timeout)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Writes a file and makes its directories; replaces an old file."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.new")
        fresh.touch(mode=mode)
        fresh.write_text(text)
        fresh.replace(target)

    def read(self, path: str) -> str:
        """A file's text; empty if there is none."""
        target = self.root / path.lstrip("/")
        return target.read_text() if target.exists() else ""

    def show(self, unit: str, name: str) -> str:
        """A property of a unit, as in `systemctl show`."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).rstrip("\n")

    def install(self, stage: Path) -> None:
        """Copies the result of `make install` below `stage` into the node, and does the work of a package."""
        subprocess.run(["cp", "-a", *map(str, stage.iterdir()), str(self.root)], check=True)
        self.run("python3", "-m", "compileall", "-q", "/usr/lib/python3/dist-packages/mlvpnd")
        self.run("systemd-sysusers", "mlvpnd.conf")
        self.run("systemd-tmpfiles", "--create", "mlvpnd.conf")
        self.run("journalctl", "--update-catalog")
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "reload", "dbus.service")

    def freeze(self, *, frozen: bool) -> None:
        """Stops the whole node with its systemd, or lets it go on. Like a suspended machine, except for its clocks."""
        (self._group / "cgroup.freeze").write_text("1" if frozen else "0")
        wanted = f"frozen {int(frozen)}"
        if not wait_until(lambda: wanted in (self._group / "cgroup.events").read_text().splitlines(), 5):
            raise NodeError(f"{self.name}: not {wanted}")

    def reboot(self) -> None:
        """Reboots the system. Its files stay, but for those in /run and /tmp; its network stays as it is."""
        notify = _listen(self._directory, self.name)
        self.attempt("systemctl", "reboot")
        if not _await_boot(notify, self._process, self._enter):
            raise NodeError(f"{self.name}: does not come back\n{_console(self._directory, self.name)}")

    def stop(self) -> None:
        """Kills the node's PID 1; the whole node goes with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.leader, 9)
        self._process.wait(timeout=20)


class Nodes:
    """A context manager: the client and the server of a lab, booted."""

    def __init__(self, lab: Lab, client_root: Path, server_root: Path) -> None:
        """The roots are from `rootfs.root_of`."""
        self._lab = lab
        self._roots = {"client": client_root, "server": server_root}
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Nodes:
        try:
            booting = [self._boot(name, host) for name, host in self._hosts()]
            self.client, self.server = (self._booted(*words) for words in booting)
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def __iter__(self) -> Iterator[Node]:
        return iter((self.client, self.server))

    def _hosts(self) -> Iterator[tuple[str, Host]]:
        yield "client", self._lab.client
        yield "server", self._lab.server

    def _boot(self, name: str, host: Host) -> tuple[str, Host, socket.socket, subprocess.Popen[bytes]]:
        """Starts a node. Its systemd tells the socket when the node is up."""
        notify = _listen(self._lab.directory, name)
        scratch = self._lab.directory / f"{name}.scratch"
        scratch.mkdir()
        nspawn = (
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={scratch}/root", f"--hostname={name}"),
            *(f"--machine={host.name}", f"--network-namespace-path=/run/netns/{host.name}"),
            *("--register=no", "--keep-unit", "--notify-ready=yes", "--console=read-only", "--resolv-conf=off"),
            *("--timezone=off", "--link-journal=no", f"--bind={scratch}/tun:/dev/net/tun", *_RIGHTS),
        )
        groups = [str(mount / host.name) for mount in _group_mounts().values()]
        words = ["unshare", "--mount", "--propagation=private", "sh", "-c", _BOOT, "sh", str(scratch)]
        words += [str(self._roots[name]), *groups, "--"]
        with _console_of(self._lab.directory, name).open("wb") as console:
            process = subprocess.Popen(
                [*words, *nspawn],
                env={**os.environ, **_NSPAWN_VARIABLES, "NOTIFY_SOCKET": _notify_path(self._lab.directory, name)},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        return name, host, notify, process

    def _booted(self, name: str, host: Host, notify: socket.socket, process: subprocess.Popen[bytes]) -> Node:
        """Waits until the node is up."""
        nodes: list[Node] = []

        def begun(leader: int) -> None:
            nodes.append(Node(name, host, leader, process, self._lab.directory))
            self._cleanup.callback(nodes[0].stop)

        if not _await_boot(notify, process, begun):
            raise NodeError(f"node {name} did not boot:\n{_console(self._lab.directory, name)}")
        return nodes[0]


def _notify_path(directory: Path, name: str) -> str:
    return str(directory / f"{name}.notify")


def _listen(directory: Path, name: str) -> socket.socket:
    """The socket to which a node's systemd tells that it is up."""
    path = _notify_path(directory, name)
    Path(path).unlink(missing_ok=True)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(path)
    notify.settimeout(0.5)
    return notify


def _await_boot(notify: socket.socket, process: subprocess.Popen[bytes], begun: Callable[[int], None]) -> bool:
    """Waits until a node is up; returns whether it is. `begun` gets the PID of its systemd as soon as there is one.

    It closes the socket: the node's systemd would wait until somebody reads its later messages.
    """
    begins = False
    end_at = time.monotonic() + BOOT_LIMIT
    with notify:
        while process.poll() is None and time.monotonic() < end_at:
            try:
                message = notify.recv(4096).decode()
            except TimeoutError:
                continue
            if found := re.search(r"^X_NSPAWN_LEADER_PID=(\d+)", message, re.M):
                begins = True
                begun(int(found[1]))
            if begins and re.search(r"^READY=1", message, re.M):
                return True
    return False


def _console_of(directory: Path, name: str) -> Path:
    return directory / f"{name}.console"


def _console(directory: Path, name: str) -> str:
    """The end of what a node's console has shown."""
    return _console_of(directory, name).read_text(errors="replace")[-4000:]


def stage(directory: Path) -> None:
    """Runs `make install` of this tree, below a directory."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    words = ["make", "--silent", "install", f"DESTDIR={directory}"]
    subprocess.run(words, cwd=PROJECT, check=True, env=environment)


def _group_mounts() -> dict[str, Path]:
    """Where systemd-nspawn tracks a container: cgroup2, and name=systemd if it is mounted."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault("unified", Path(left.split()[4]))
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            found.setdefault("systemd", Path(left.split()[4]))
    return found
