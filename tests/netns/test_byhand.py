"""The start by hand, with real processes, chroot, TUN and scripts. Each runs in its own network and mount namespaces.

`byhand_program` is `mlvpn` with a daemon that makes each request once and reports the results.
"""

from __future__ import annotations

import json
import os
import pty
import pwd
import re
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.netns

PROJECT = Path(__file__).parents[2]
NOBODY = pwd.getpwnam("nobody")
LIMIT = 20.0
CONFIG = """
[general]
mode = "client"
password = "secret"
interface_name = "{interface}"
statuscommand = "{directory}/script"
control_unix_path = "/run/mlvpn/control"
configure_interface = 1
ip4 = "10.42.42.2/30"
ip6 = "fd00:42::2/64"
ip4_gateway = "10.42.42.1"
ip4_routes = "10.50.0.0/16 192.168.9.0/24"
ip6_routes = "fd01:42::/64"

[adsl1]
bindhost = "127.0.0.1"
bindport = "53"
binddevice = "lo"
remotehost = "localhost"
remoteport = "5080"
"""
SCRIPT = """\
#!/bin/sh
echo "called $0 $*"
{
    echo "$*"
    env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort
    grep -E '^(SigBlk|SigIgn|SigPnd):' /proc/self/status
    own=$(readlink -f "${0%/*}")
    readlink /proc/$$/fd/* | grep -v -e ^/dev/null$ -e ^pipe: -e "^$own$" -e "^$own/" && echo descriptors left
    ps -o sid= -p $$ | grep -qw $$ && echo own session
} >>"${0%/*}/seen.$2"
[ "$2" = rtun_down ] && exit 3
[ "$2" = tuntap_down ] && kill -KILL $$
exit 0
"""
# The namespaces get their own /run, as after booting. The shell may have a file open that only root may read.
PREPARE = """
set -e
exec 7</etc/shadow
ip link set lo up
mount -t tmpfs -o mode=755 none /run
mkdir /run/mlvpn
export STATE_DIRECTORY=/run/mlvpn-state
"""


class ByHand:
    """A running `mlvpn`, started through a shell in its namespaces."""

    def __init__(
        self,
        directory: Path,
        *,
        interface: str = "tst%d",
        before: str = "",
        after: str = "",
        wrap: str = "",
        redirect: str = "",
    ) -> None:
        self.directory = directory
        self.log_path = directory / "log"
        self.report_path = directory / "report"
        self.report_path.touch()
        config = directory / "mlvpn.conf"
        config.touch(mode=0o600)
        config.write_text(CONFIG.format(directory=directory, interface=interface))
        script = directory / "script"
        script.write_text(SCRIPT)
        script.chmod(0o700)
        program = f"{wrap} {sys.executable} -m tests.netns.byhand_program {self.report_path}"
        options = f"-u nobody -c {config} --debug -n home"
        shell = f"{PREPARE}\n{before}\nset +e\n{program} {options} {redirect}\ncode=$?\n{after}\nexit $code"
        with self.log_path.open("wb") as log:
            self._shell = subprocess.Popen(
                ["unshare", "--net", "--mount", "sh", "-c", shell], cwd=PROJECT, stdout=log, stderr=log
            )
        self.seen = self._wait_for_report(1)[0]
        self.parent: int = self.seen["parent"]
        self.child: int = self.seen["pid"]

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.report_path.read_text().splitlines()]

    def _wait_for_report(self, number: int) -> list[dict[str, Any]]:
        self.wait(lambda: len(self.reports()) >= number)
        return self.reports()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition; the failure shows the log."""
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"it did not happen; the log:\n{self.log}")
            time.sleep(0.02)

    def exit_code(self) -> int:
        """Waits for the end of the parent."""
        return self._shell.wait(LIMIT)

    def stop(self) -> int:
        os.kill(self.parent, signal.SIGTERM)
        return self.exit_code()

    def clean_up(self) -> None:
        """Leaves no process of this test."""
        if self._shell.poll() is None:
            for pid in (self.child, self.parent):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._shell.wait(LIMIT)


Start = Callable[..., ByHand]


@pytest.fixture(scope="module")
def make_directory() -> Iterator[Callable[[], Path]]:
    """Makes directories that only root can change."""
    made = []

    def make() -> Path:
        made.append(tempfile.TemporaryDirectory(dir=Path.home(), prefix="mlvpnd-test-"))
        return Path(made[-1].name)

    yield make
    for directory in made:
        directory.cleanup()


@pytest.fixture
def start(make_directory: Callable[[], Path]) -> Iterator[Start]:
    running: list[ByHand] = []

    def begin(**arguments: Any) -> ByHand:
        running.append(ByHand(make_directory(), **arguments))
        return running[-1]

    yield begin
    for one in running:
        one.clean_up()


@pytest.fixture(scope="module")
def daemon(make_directory: Callable[[], Path]) -> Iterator[ByHand]:
    """A daemon that several tests examine."""
    running = ByHand(make_directory())
    yield running
    running.clean_up()


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in lines)}


def test_the_daemon_has_no_privilege_left(daemon: ByHand) -> None:
    status = _status(daemon.child)
    assert status["Uid"] == " ".join([str(NOBODY.pw_uid)] * 4)
    assert status["Gid"] == " ".join([str(NOBODY.pw_gid)] * 4)
    assert status["Groups"] == str(NOBODY.pw_gid)
    assert {status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def test_the_parent_is_root(daemon: ByHand) -> None:
    assert _status(daemon.parent)["Uid"] == "0 0 0 0"


def test_the_daemons_root_is_an_empty_directory(daemon: ByHand) -> None:
    assert daemon.seen["root"] == []
    assert os.readlink(f"/proc/{daemon.child}/root") == "/run/mlvpn-empty"
    assert os.readlink(f"/proc/{daemon.child}/cwd") == "/run/mlvpn-empty"


def test_imports_are_refused_loudly(daemon: ByHand) -> None:
    assert daemon.seen["import"] == "this is not loaded and the process is in its sandbox"
    assert daemon.log.count("[CRIT]") == 1
    assert "import of this refused" in daemon.log


def test_the_daemon_holds_nothing_of_roots(daemon: ByHand) -> None:
    """Its descriptors are its streams, the channel, its loop, and the descriptors that it was given."""
    targets = [os.readlink(entry) for entry in Path(f"/proc/{daemon.child}/fd").iterdir()]
    files = {target for target in targets if target.startswith("/")}
    assert files <= {"/dev/null", "/dev/net/tun", str(daemon.log_path), str(daemon.report_path)}
    parents = [os.readlink(entry) for entry in Path(f"/proc/{daemon.parent}/fd").iterdir()]
    assert "/dev/net/tun" not in parents
    assert "/etc/shadow" not in parents


@pytest.mark.parametrize("way", ["<>", ">", "<"])
def test_what_standard_error_is_may_not_be_read(way: str, start: Start, tmp_path: Path) -> None:
    """The daemon gets standard error on purpose, for lines of log and for nothing else."""
    (tmp_path / "errors").write_text("of root's\n")
    running = start(redirect=f"2{way}{tmp_path}/errors")
    assert _open_modes(running.child, str(tmp_path / "errors")) == ({os.O_WRONLY} if way != "<" else set())
    assert running.stop() == 0
    said = (tmp_path / "errors").read_text()
    assert ("the daemon runs" in said) == (way != "<")
    assert said.startswith("of root's\n") == (way != ">")


def _open_modes(pid: int, path: str) -> set[int]:
    """The modes in which a process has a file open."""
    entries = [entry for entry in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(entry) == path]
    texts = [Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text() for entry in entries]
    return {int(flags[1], 8) & os.O_ACCMODE for text in texts if (flags := re.search(r"^flags:\s*(\d+)", text, re.M))}


def test_titles_and_names(daemon: ByHand) -> None:
    for pid, title in ((daemon.parent, "mlvpn: home [priv]"), (daemon.child, "mlvpn: test @adsl1")):
        assert Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0") == title
        assert Path(f"/proc/{pid}/comm").read_text() == "mlvpn\n"


def test_the_configuration_came_whole(daemon: ByHand) -> None:
    assert daemon.seen["config"] == (daemon.directory / "mlvpn.conf").read_text()


def test_the_interface(daemon: ByHand) -> None:
    assert daemon.seen["tun"] == ["tst0", 1428]
    assert daemon.seen["configure"] == 1408
    assert daemon.seen["tun_flags"] == 0x5001  # IFF_TUN, IFF_NO_PI, IFF_VNET_HDR
    assert not daemon.seen["tun_blocking"]
    assert not daemon.seen["tun_inheritable"]


def test_addresses_and_routes(daemon: ByHand) -> None:
    enter = ["nsenter", "--target", str(daemon.child), "--net"]
    addresses = subprocess.run([*enter, "ip", "-o", "addr", "show", "tst0"], capture_output=True, text=True).stdout
    assert "10.42.42.2/30" in addresses
    assert "fd00:42::2/64" in addresses
    link = subprocess.run([*enter, "ip", "-o", "link", "show", "tst0"], capture_output=True, text=True).stdout
    assert "UP" in link
    assert "mtu 1408" in link
    routes = subprocess.run([*enter, "ip", "route"], capture_output=True, text=True).stdout
    assert "10.50.0.0/16 via 10.42.42.1 dev tst0" in routes
    assert "192.168.9.0/24 via 10.42.42.1 dev tst0" in routes
    routes = subprocess.run([*enter, "ip", "-6", "route"], capture_output=True, text=True).stdout
    assert "fd01:42::/64 dev tst0" in routes


def test_sockets(daemon: ByHand) -> None:
    assert daemon.seen["tune"] is None
    assert daemon.seen["rcvbuf"] == 8 << 20
    assert daemon.seen["bind"] is None
    assert daemon.seen["bound"] == ["127.0.0.1", 53]
    assert daemon.seen["device"] == "lo"
    assert daemon.seen["tune_tcp"] == "error: not a UDP socket"


def test_what_outlasts_a_stop_is_kept_outside_the_chroot(daemon: ByHand) -> None:
    assert daemon.seen["state"] == [None, None, "kept"]
    directory = Path(f"/proc/{daemon.parent}/root/run/mlvpn-state")
    (file,) = directory.iterdir()
    assert file.name.startswith("mlvpn.conf-")
    assert file.read_bytes() == b"kept"
    for path, mode in ((directory, 0o700), (file, 0o600)):
        found = path.stat()
        assert (found.st_uid, found.st_mode & 0o777) == (0, mode)


def test_names(daemon: ByHand) -> None:
    assert [2, ["127.0.0.1", 5080]] in daemon.seen["resolve"]
    assert daemon.seen["resolve_bind"] == [[2, ["127.0.0.1", 53]]]
    assert daemon.seen["resolve_unknown"].startswith("error: no link 'nix' in ")


def _without_own_signals(mask: re.Match[str]) -> str:
    return f"{int(mask[0], 16) & ~(3 << 31):016x}"


def test_the_status_command(daemon: ByHand) -> None:
    assert daemon.seen["script"] == [0, 0, 3, -9]
    for event, arguments in (("rtun_up", "tst0 rtun_up adsl1"), ("tuntap_up", "tst0 tuntap_up")):
        # Signals 32 and 33 are the C library's own; they stay as they were at our start.
        seen = re.sub(r"(?<=\t)[0-9a-f]{16}", _without_own_signals, (daemon.directory / f"seen.{event}").read_text())
        assert seen == textwrap.dedent(f"""\
            {arguments}
            DEVICE=tst0
            IP4=10.42.42.2/30
            IP4_GATEWAY=10.42.42.1
            IP4_ROUTES=10.50.0.0/16 192.168.9.0/24
            IP6=fd00:42::2/64
            IP6_GATEWAY=
            IP6_ROUTES=fd01:42::/64
            MTU=1408
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
            SigPnd:\t0000000000000000
            SigBlk:\t0000000000000000
            SigIgn:\t0000000000000000
            own session
            """)
    script = daemon.directory / "script"
    called = rf"\[INFO/privsep\] {script}: called /proc/self/fd/\d+/script tst0 rtun_up adsl1\n"
    assert re.search(called, daemon.log)
    assert f"[WARN/privsep] network script {script} exit status 3\n" in daemon.log
    assert f"[WARN/privsep] network script {script} killed by signal 9\n" in daemon.log


def test_the_control_socket(daemon: ByHand) -> None:
    assert daemon.seen["control"] == "/run/mlvpn/control"
    found = os.stat(f"/proc/{daemon.parent}/root/run/mlvpn/control")
    assert found.st_mode & 0o777 == 0o600
    assert (found.st_uid, found.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)


def test_signals_and_a_clean_stop(start: Start) -> None:
    running = start(after="ls /run/mlvpn; echo listed")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGALRM):
        os.kill(running.parent, number)
        os.kill(running.child, number)
    os.kill(running.parent, signal.SIGHUP)
    running.wait(lambda: {"hup": True} in running.reports())
    assert running.stop() == 0
    assert running.log.endswith("\nlisted\n")
    assert "\ncontrol\n" not in running.log


def test_what_was_set_on_a_lasting_interface_is_undone(start: Start) -> None:
    running = start(
        interface="keep0",
        before="ip tuntap add dev keep0 mode tun; ip addr add 192.0.2.1/32 dev keep0",
        after="ip -o addr show dev keep0; ip -o link show dev keep0; ip route; ip -6 route; echo listed",
    )
    assert running.seen["tun"] == ["keep0", 1428]
    assert running.seen["configure"] == 1408
    assert running.stop() == 0
    left = running.log[running.log.index("192.0.2.1") :]
    assert left.endswith("listed\n")
    for gone in ("10.42.42.2", "fd00:42", "10.50.0.0", "192.168.9.0", "fd01:42", ",UP"):
        assert gone not in left


def test_a_daemon_that_is_killed(start: Start) -> None:
    running = start()
    os.kill(running.child, signal.SIGKILL)
    assert running.exit_code() == 1
    assert "the daemon was killed by signal 9" in running.log


def test_a_second_sigterm_kills_a_daemon_that_hangs(start: Start) -> None:
    running = start()
    os.kill(running.child, signal.SIGSTOP)
    os.kill(running.parent, signal.SIGTERM)
    time.sleep(0.2)
    assert Path(f"/proc/{running.child}").exists()
    os.kill(running.parent, signal.SIGTERM)
    assert running.exit_code() == 1


def test_the_daemon_stops_when_the_parent_dies(start: Start) -> None:
    running = start()
    os.kill(running.parent, signal.SIGKILL)
    running.wait(lambda: {"parent_gone": True} in running.reports())
    running.wait(lambda: not Path(f"/proc/{running.child}").exists())


def test_the_time_of_day_survives_the_chroot(start: Start) -> None:
    zone = Path("/usr/share/zoneinfo/Asia/Tokyo")
    if not zone.exists():
        pytest.fail("this test needs the package tzdata")
    running = start(before=f'mount --bind {zone} "$(realpath /etc/localtime)"; unset TZ')
    assert running.seen["time"] == "JST"


def test_without_root() -> None:
    """Without root there is no chroot and no other user; root has made an interface for the user."""
    directory = Path(tempfile.mkdtemp(prefix="mlvpnd-test-", dir="/var/tmp"))
    report = directory / "report"
    config = directory / "mlvpn.conf"
    config.touch(mode=0o600)
    text = CONFIG.format(directory=directory, interface="user0")
    unprivileged = [
        line
        for line in text.splitlines()
        if not line.startswith(("configure_", "control_", "statuscommand", "bindport", "binddevice"))
    ]
    config.write_text("\n".join(unprivileged) + "\n")
    for path in (directory, config):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    shell = f"""{PREPARE}
        mount -t tmpfs -o mode=755 none /dev/net
        mknod -m 666 /dev/net/tun c 10 200
        ip tuntap add dev user0 mode tun user nobody
        {sys.executable} -m tests.support.passable
        cd {PROJECT}
        exec setpriv --reuid {NOBODY.pw_uid} --regid {NOBODY.pw_gid} --clear-groups \\
            {sys.executable} -B -m tests.netns.byhand_program {report} -c {config} -u nobody --debug
        """
    try:
        process = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", shell], cwd=PROJECT, stderr=subprocess.PIPE, text=True
        )
        end = time.monotonic() + LIMIT
        while not (report.exists() and report.read_text()) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        seen = json.loads(report.read_text().splitlines()[0])
        # If a process hides memory and core from others of its user, the kernel gives them to root.
        owners = [os.stat(f"/proc/{pid}/environ").st_uid for pid in (seen["parent"], seen["pid"])]
        process.terminate()
        _, errors = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, errors
        assert owners == [0, 0]
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
    assert seen["tun"] == ["user0", 1500]
    assert "cannot set the MTU of user0 to 1428: Operation not permitted" in errors
    assert "etc" in seen["root"]
    assert seen["bind"] is None
    assert "Permission denied" in seen["state"][1]
    assert seen["script"] == [0, 0, 0, 0]


SERVER = """
[general]
mode = "server"
password = "secret"
interface_name = "tst0"

[adsl1]
bindhost = "127.0.0.1"
bindport = "5080"
"""


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("command", ["mlvpn", "mlvpnd", "-m mlvpnd", "mlvpn --natural-title"])
def test_both_processes_are_found_by_the_kernels_name(command: str, make_directory: Callable[[], Path]) -> None:
    """For `kill -HUP $(pidof mlvpn)` and `pkill -HUP mlvpn`, however the real daemon was started."""
    config = make_directory() / "mlvpn.conf"
    config.touch(mode=0o600)
    config.write_text(SERVER)
    prefix = f"{sys.executable} " if command.startswith("-m") else f"{Path(sys.executable).parent}/"
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [
                "unshare",
                "--net",
                "--mount",
                "sh",
                "-c",
                f"{PREPARE} exec {prefix}{command} -c {config} -u nobody -debug -v",
            ],
            cwd=PROJECT,
            stderr=log,
        )
        try:
            end = time.monotonic() + LIMIT
            found: set[int] = set()
            while len(found) < 2 and process.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
                ours = {process.pid, *_children(process.pid)}
                found = ours & _output_pids("pgrep", "-x", "mlvpn")
            log.seek(0)
            assert len(found) == 2, log.read()
            if "natural" not in command:  # pidof goes by argv; here it is Python's
                while not found <= _output_pids("pidof", "mlvpn") and time.monotonic() < end:
                    time.sleep(0.05)
                assert found <= _output_pids("pidof", "mlvpn")
        finally:
            process.terminate()
            code = process.wait(LIMIT)
        log.seek(0)
        assert code == 0, log.read()


def test_the_terminal_stays_roots(make_directory: Callable[[], Path]) -> None:
    """The daemon can neither type into root's shell nor read what root types; ^C stops both as always."""
    config = make_directory() / "mlvpn.conf"
    config.touch(mode=0o600)
    config.write_text(SERVER)
    terminal, line = pty.openpty()
    command = f"{PREPARE} exec {Path(sys.executable).parent}/mlvpn -c {config} -u nobody --debug"
    process = subprocess.Popen(
        ["setsid", "--ctty", "unshare", "--net", "--mount", "sh", "-c", command],
        cwd=PROJECT,
        stdin=line,
        stdout=line,
        stderr=line,
    )
    os.close(line)
    try:
        shown = b""
        while b"bind to" not in shown:
            assert select.select([terminal], [], [], LIMIT)[0], shown.decode()
            shown += os.read(terminal, 4096)
        (child,) = _children(process.pid)
        assert Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[4] != "0"
        assert Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[4] == "0"
        for entry in Path(f"/proc/{child}/fd").iterdir():
            if os.readlink(entry).startswith("/dev/pts/"):
                flags = re.search(r"^flags:\s*(\d+)", Path(f"/proc/{child}/fdinfo/{entry.name}").read_text(), re.M)
                assert flags is not None
                assert int(flags[1], 8) & os.O_ACCMODE == os.O_WRONLY
        os.write(terminal, b"\x03")
        assert process.wait(LIMIT) == 0
    finally:
        process.kill()
        process.wait(LIMIT)
        os.close(terminal)


def _output_pids(*command: str) -> set[int]:
    return {int(word) for word in subprocess.run(command, capture_output=True, text=True).stdout.split()}
