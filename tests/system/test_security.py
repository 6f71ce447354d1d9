"""Rights on a host with several tunnels of one user: what a captured daemon could do to the other tunnels."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.support.lab import wait_until
from tests.support.services import INSTANCE, UNIT, ServiceTunnel

AS_DAEMON = ("setpriv", "--reuid=mlvpn", "--regid=mlvpn", "--clear-groups", "--")
"""The words that run a process of the daemons' user in no tunnel's unit."""
NAME, PATH = f"org.mlvpn1.Tunnel.{INSTANCE}", f"/org/mlvpn1/tunnel/{INSTANCE}"
ASK = f"""
import socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.connect("/run/mlvpn-helper/{INSTANCE}." + sys.argv[1])
try:
    sock.send(b'{{"op": "open-config"}}')
    print(sock.recv(4096).decode())
except ConnectionError:  # closed before the question was asked
    print('{{"error": "refused"}}')
"""
# A control group whose path ends like the daemon's. A user's own manager could make one.
ELSEWHERE = f"""
group=/sys/fs/cgroup/user.slice/user-998.slice/user@998.service/app.slice/{UNIT}
mkdir -p $group && echo $$ >$group/cgroup.procs && exec "$@"
"""


def test_only_the_tunnels_own_unit_is_trusted_of_its_user(tunnel: ServiceTunnel) -> None:
    node = tunnel.client.node
    done = node.attempt(*AS_DAEMON, "mlvpnctl", "--no-ask-password", "reload", INSTANCE)
    assert done.returncode == 5, done.stderr
    disable = ("busctl", "set-property", NAME, f"{PATH}/link/link1", "org.mlvpn1.Link", "Enabled", "b", "false")
    assert node.attempt(*AS_DAEMON, *disable).returncode
    enabled = ("busctl", "get-property", NAME, f"{PATH}/link/link1", "org.mlvpn1.Link", "Enabled")
    assert node.run(*enabled).strip() == "b true"
    tunnel.client.ctl("reload")  # by a process in the unit, of the daemon's user
    assert tunnel.ping() == 3


@pytest.mark.parametrize("socket", ["sock", "script"])
def test_the_helpers_know_the_daemon_by_the_whole_path_of_its_group(tunnel: ServiceTunnel, socket: str) -> None:
    node = tunnel.client.node
    ask = (*AS_DAEMON, "python3", "-c", ASK, socket)
    for words in (ask, ("sh", "-c", ELSEWHERE, "sh", *ask)):
        since = time.time()
        assert json.loads(node.run(*words)) == {"error": "refused"}
        entry = tunnel.client.wait_entry("MLVPN_EVENT=helper-refused", since=since)
        assert entry["MESSAGE"].endswith(f" is not in {UNIT}")


def test_no_other_process_of_the_user_looks_into_the_daemons_memory(tunnel: ServiceTunnel) -> None:
    """If a process hides its memory, its files in /proc belong to root."""
    client = tunnel.client
    assert client.node.run("stat", "-c", "%u", f"/proc/{client.pid}/environ").strip() == "0"
    assert client.node.attempt(*AS_DAEMON, "cat", f"/proc/{client.pid}/environ").returncode
    limits = client.node.read(f"/proc/{client.pid}/limits")
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")] == [["0", "0"]]
    helper = client.node.show(f"mlvpn-helper@{INSTANCE}.service", "LimitCORE")
    assert helper == "0"


def test_what_the_daemon_sees_of_run(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.node.run("mkdir", "-p", "/run/mlvpn/other", "/run/secret")
    inside = f"/proc/{client.pid}/root/run"
    seen, own, systemds = (set(client.node.run("ls", f"{inside}{path}").split()) for path in ("", "/mlvpn", "/systemd"))
    client.node.run("rmdir", "/run/mlvpn/other", "/run/secret")
    assert {"dbus", "mlvpn", "mlvpn-helper", "systemd"} <= seen
    assert not seen & {"secret", "lock", "udev", "polkit", "host", "log"}
    assert own == {INSTANCE}
    assert not systemds & {"private", "userdb", "io.system.ManagedOOM"}


def test_nothing_can_be_run_but_what_is_needed(tunnel: ServiceTunnel) -> None:
    inside = ("nsenter", "-t", str(tunnel.client.pid), "-m")
    assert tunnel.client.node.attempt(*inside, "/usr/bin/python3", "-c", "").returncode == 0
    for program in ("/usr/bin/id", "/bin/sh", "/usr/bin/systemctl"):
        assert tunnel.client.node.attempt(*inside, program, "--version").returncode == 126, program


def test_systemd_knows_every_line_of_the_units(tunnel: ServiceTunnel) -> None:
    """systemd also takes the daemon for its child: it would stop another process by SIGKILL."""
    said = tunnel.client.node.run("journalctl", "--no-pager", "-o", "cat", "_PID=1")
    wrong = ("Unknown key", "not our child", "mlvpn.*ignoring")
    assert not [line for line in said.splitlines() if re.search("|".join(wrong), line)]


def test_what_a_status_command_is_given(tunnel: ServiceTunnel) -> None:
    """Full root, its own file and directory, and nothing of the runner."""
    client = tunnel.client
    script = "#!/bin/sh\nreadlink /proc/$$/fd/* >/run/status-fds\ngrep CapEff: /proc/self/status >/run/status-caps\n"
    client.node.write("/etc/mlvpn/status", script, mode=0o700)
    client.ctl("stop")
    client.configure(tunnel.config("client", {"statuscommand": "/etc/mlvpn/status"}))
    client.ctl("start")
    tunnel.wait_up()
    assert wait_until(lambda: client.node.read("/run/status-caps") != "", 5)
    found = client.node.read("/run/status-fds").split()
    known = ("/dev/null", "/etc/mlvpn", "/etc/mlvpn/status", "/run/status-fds")
    assert not [one for one in found if not one.startswith("pipe:") and one not in known]
    (given,) = _capabilities(client.node.read("/run/status-caps"))
    (of_the_host,) = _capabilities(client.node.run("grep", "CapEff:", "/proc/1/status"))
    for number in (0, 1, 12, 13, 16, 19, 21):  # files, network, modules, other processes, administration
        # A container may lack one of them.
        assert given >> number & 1 == of_the_host >> number & 1, number
    assert given >> 12 & 1
    assert not given >> 17 & 1  # raw input and output
    client.ctl("stop")
    client.node.run("rm", "/run/status-fds", "/run/status-caps", "/etc/mlvpn/status")


def _capabilities(status: str) -> list[int]:
    return [int(line.split()[1], 16) for line in status.splitlines()]
