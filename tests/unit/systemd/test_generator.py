"""What the generator writes, compared as a whole. Nothing of a file but addresses and ports may get into a unit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlvpnd.systemd import generator

PASSWORD = "correct-horse"
SERVER = f"""
[general]
mode = "server"
password = "{PASSWORD}"
statuscommand = "/etc/mlvpn/status"
interface_name = "mlvpn0"

[adsl1]
bindhost = "192.0.2.1"
bindport = "5080"

[adsl2]
bindhost = "2001:0db8::1"
bindport = "05081"

[wifi]
bindport = "5082"

[both]
bindhost = "::"
bindport = "5083"

[any]
bindhost = "0.0.0.0"
bindport = "5084"

[named]
bindhost = "vpn.example.org"
bindport = "5085"

[service]
bindhost = "192.0.2.1"
bindport = "syslog"

[scoped]
bindhost = "fe80::1%eth0"
bindport = "5086"

[device]
binddevice = "eth0"
bindhost = "192.0.2.2"
bindport = "5087"
"""
CLIENT = f"""
[general]
mode = "client"
password = "{PASSWORD}"

[adsl1]
bindhost = "192.0.2.1"
bindport = "5080"
remotehost = "198.51.100.1"
remoteport = "5080"
"""


class Host:
    """A host's files, and what the generator makes of them."""

    def __init__(self, directory: Path) -> None:
        self.configs = directory / "etc"
        self.output = directory / "out"
        self.lines: list[str] = []
        self.configs.mkdir()

    def add(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.configs / f"{name}.conf"
        path.write_text(text)
        path.chmod(mode)
        return path

    def generate(self) -> dict[str, str]:
        """All files that were written with their text, and all links with their targets."""
        generator.generate(self.output, self.configs, self.lines.append)
        found = {}
        for path in self.output.rglob("*"):
            name = str(path.relative_to(self.output))
            if path.is_symlink():
                found[name] = f"-> {os.readlink(path)}"
            elif path.is_file():
                found[name] = path.read_text()
        assert PASSWORD not in repr(found) + repr(self.lines)
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_server(host: Host) -> None:
    path = host.add("srv-1", SERVER)
    assert host.generate() == {
        "mlvpn@srv-1.socket.d/50-mlvpn.conf": f"""\
# Written by mlvpn-generator.
[Unit]
SourcePath={path}

[Socket]
ListenDatagram=192.0.2.1:5080
ListenDatagram=[2001:db8::1]:5081
ListenDatagram=5082
ListenDatagram=0.0.0.0:5084
""",
    }
    assert host.lines == []


def test_a_client_has_no_ports_to_wait_at(host: Host) -> None:
    host.add("home", CLIENT)
    assert host.generate() == {}


def test_a_wildcard_for_ipv6_only(host: Host) -> None:
    text = (
        SERVER.split("[adsl1]")[0] + '[a]\nbindhost = "::"\nbindport = "1"\n[b]\nbindhost = "0.0.0.0"\nbindport = "1"'
    )
    host.add("srv", text)
    drop_in = host.generate()["mlvpn@srv.socket.d/50-mlvpn.conf"]
    assert drop_in.endswith("[Socket]\nListenDatagram=[::]:1\nListenDatagram=0.0.0.0:1\nBindIPv6Only=ipv6-only\n")


@pytest.mark.parametrize(
    ("path", "made_at"),
    [
        ("/run/mlvpn/home.sock", "/run/mlvpn/home.sock"),
        ("/var/lib/x/../control", "/var/lib/control"),
        ("/mlvpn.sock", "/run/mlvpn/mlvpn.sock"),
    ],
)
def test_a_control_socket_where_the_daemon_may_not_write(host: Host, path: str, made_at: str) -> None:
    file = host.add("home", CLIENT.replace("[general]", f'[general]\ncontrol_unix_path = "{path}"'))
    written = host.generate()
    wants = "mlvpn@home.service.wants/mlvpn-control@home.socket"
    assert written[wants] == "-> /lib/systemd/system/mlvpn-control@.socket"
    assert written["mlvpn-control@home.socket.d/50-mlvpn.conf"] == (
        f"# Written by mlvpn-generator.\n[Unit]\nSourcePath={file}\n\n[Socket]\nListenStream={made_at}\n"
    )


def test_a_control_socket_that_the_daemon_makes(host: Host) -> None:
    host.add("home", CLIENT.replace("[general]", '[general]\ncontrol_unix_path = "/run/mlvpn/home/control"'))
    assert host.generate() == {}


@pytest.mark.parametrize("path", ["/run/%i", "/run/a b", "/run/a\\", "/run/$x"])
def test_a_path_that_would_mean_another_thing_in_a_unit(host: Host, path: str) -> None:
    host.add("home", CLIENT.replace("[general]", f'[general]\ncontrol_unix_path = "{path}"'))
    assert host.generate() == {}
    assert len(host.lines) == 1
    assert "control_unix_path" in host.lines[0]


def test_a_broken_file_stops_nobody(host: Host) -> None:
    host.add("a", f'password = "{PASSWORD}"\n{PASSWORD}\n[general]\nmode = "{PASSWORD}"\n[x]\nbindport = "{PASSWORD}"')
    host.add("b", "\0" * 5000)
    host.add("c", SERVER, mode=0o644)
    (host.configs / "d.conf").mkdir()
    (host.configs / "e.conf").symlink_to(host.add("elsewhere", SERVER))
    host.add("srv", SERVER)
    host.generate()
    sockets = [path.name for path in host.output.glob("*.socket.d")]
    assert sorted(sockets) == ["mlvpn@elsewhere.socket.d", "mlvpn@srv.socket.d"]
    named = {Path(line.split(": ")[0]).stem for line in host.lines}
    assert named == {"a", "b", "c", "d", "e"}


def test_a_file_without_its_password(host: Host) -> None:
    """The password is in a credential."""
    host.add("srv", SERVER.replace(f'password = "{PASSWORD}"\n', ""))
    assert "mlvpn@srv.socket.d/50-mlvpn.conf" in host.generate()


def test_names_that_are_none(host: Host) -> None:
    for name in ("a b", "x@y", ".hidden", "ok"):
        host.add(name, SERVER)
    assert list(host.generate()) == ["mlvpn@ok.socket.d/50-mlvpn.conf"]
    assert len(host.lines) == 2


def test_a_second_time_gives_the_same(host: Host) -> None:
    host.add("srv", SERVER.replace("[general]", '[general]\ncontrol_unix_path = "/run/x"'))
    assert host.generate() == host.generate()


def test_a_host_without_tunnels(host: Host) -> None:
    host.configs.rmdir()
    assert host.generate() == {}


def test_the_program(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(generator, "log_to_kernel", logged.append)
    monkeypatch.setenv("MLVPN_CONFDIR", str(host.configs))
    host.add("srv", SERVER)
    assert generator.main(["mlvpn-generator", str(host.output), "early", "late"]) == 0
    assert (host.output / "mlvpn@srv.socket.d/50-mlvpn.conf").exists()
    assert logged == []


def test_nothing_makes_the_program_fail(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(generator, "log_to_kernel", logged.append)
    monkeypatch.setenv("MLVPN_CONFDIR", str(host.configs))
    path = host.add("srv", SERVER)
    host.output.write_text("not a directory")
    assert generator.main(["mlvpn-generator"]) == 0
    assert generator.main(["mlvpn-generator", str(host.output)]) == 0
    assert logged == ["failed: IndexError", f"{path}: NotADirectoryError, its sockets are left out"]


def test_without_a_kernel_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generator, "_KERNEL_LOG", str(tmp_path / "none" / "kmsg"))
    generator.log_to_kernel("text")
    monkeypatch.setattr(generator, "_KERNEL_LOG", str(tmp_path / "kmsg"))
    generator.log_to_kernel("text")
    assert (tmp_path / "kmsg").read_text() == "<4>mlvpn-generator: text\n"
