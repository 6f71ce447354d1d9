"""The units as `make install` puts them, judged by systemd's own tools, which need no running systemd."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import pytun

from mlvpnd.base.instance import CONFIG_DIRECTORY, RUNTIME_DIRECTORY, STATE_DIRECTORY, config_path
from mlvpnd.helper import activated, address
from mlvpnd.logs import journal
from mlvpnd.systemd import generator

from .systemd.test_generator import SERVER

PROJECT = Path(__file__).parents[2]
SYSTEMD = PROJECT / "systemd"
UNITS = sorted(path for path in SYSTEMD.iterdir() if path.suffix in (".service", ".socket"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
NAME = "srv-1"
SCRIPT = "mlvpn-script@.service"
EXEC = re.compile(r"^(Exec\w+=[-+!@:]*)(/usr/(?:s?bin|libexec)/\S+)", re.MULTILINE)
# systemd 252 is the oldest that must know every key. Later keys are not to be used.
OLDEST = 252


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "LC_ALL": "C", **environment}
    )


class Units(configparser.RawConfigParser):
    """One unit's settings, the last of each name; names keep their case."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def _read(name: str) -> Units:
    unit = Units(strict=False, delimiters=("=",), comment_prefixes=("#",))
    unit.read(SYSTEMD / name)
    return unit


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of what `make install` made."""
    root = tmp_path_factory.mktemp("root")
    made = _run("make", "--silent", "-C", PROJECT, "install", f"DESTDIR={root}")
    assert made.returncode == 0, made.stderr
    return root


@pytest.fixture(scope="module")
def unit_directory(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed units and what the generator adds; our programs' paths begin with the root of the installation."""
    directory = tmp_path_factory.mktemp("units")
    configs = tmp_path_factory.mktemp("etc")
    config = configs / f"{NAME}.conf"
    config.write_text(SERVER.replace("[general]", '[general]\ncontrol_unix_path = "/mlvpn.sock"'))
    config.chmod(0o600)
    problems: list[str] = []
    generator.generate(directory, configs, problems.append)
    assert problems == []
    for path in (installed / "usr/lib/systemd/system").iterdir():
        (directory / path.name).write_text(EXEC.sub(rf"\1{installed}\2", path.read_text()))
    return directory


def test_the_tools_are_there() -> None:
    """The tests below say nothing without them."""
    for program in ("systemd-analyze", "make", "journalctl", "systemd-sysusers", "systemd-tmpfiles"):
        assert shutil.which(program), program
    version = _run("systemd-analyze", "--version").stdout.split()[1]
    assert int(version) >= OLDEST


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_has_nothing_to_say(path: Path, unit_directory: Path) -> None:
    """The pages of Documentation= are looked for where the package is installed."""
    name = path.name.replace("@", f"@{NAME}")
    verified = _run("systemd-analyze", "verify", "--man=no", name, SYSTEMD_UNIT_PATH=f"{unit_directory}:")
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_verification_sees_mistakes(unit_directory: Path, tmp_path: Path) -> None:
    text = (unit_directory / "mlvpn@.service").read_text()
    (tmp_path / "mlvpn@.service").write_text(text.replace("ProtectSystem=", "ProtectSistem=").replace("mlvpnctl", "no"))
    verified = _run("systemd-analyze", "verify", "--man=no", f"mlvpn@{NAME}.service", SYSTEMD_UNIT_PATH=f"{tmp_path}:")
    assert "ProtectSistem" in verified.stderr
    assert "is not executable" in verified.stderr


@pytest.mark.parametrize(("name", "limit"), [("mlvpn@.service", 10), ("mlvpn-helper@.service", 16)])
def test_exposure(name: str, limit: int) -> None:
    """The limit is in tenths, as --threshold takes it."""
    judged = _run("systemd-analyze", "security", "--offline=yes", f"--threshold={limit}", SYSTEMD / name)
    assert judged.returncode == 0, judged.stdout
    assert "Overall exposure level" in judged.stdout


def test_exposure_has_a_limit() -> None:
    judged = _run("systemd-analyze", "security", "--offline=yes", "--threshold=13", SYSTEMD / "mlvpn-script@.service")
    assert judged.returncode == 1


@pytest.mark.parametrize("name", ["mlvpn@.service", "mlvpn-helper@.service"])
def test_what_the_sandbox_is_for(name: str) -> None:
    settings = _read(name)["Service"]
    assert settings["NoNewPrivileges"] == "yes"
    assert settings["ProtectSystem"] == "strict"
    assert settings["CapabilityBoundingSet"] == ("" if name == "mlvpn@.service" else "CAP_NET_ADMIN")
    hidden = "/run:ro /var/lib/mlvpn:ro" if name == "mlvpn@.service" else "/run:ro"
    assert (settings["LimitCORE"], settings["TemporaryFileSystem"]) == ("0", hidden)
    assert int(settings["LimitNOFILE"]) <= 1024
    assert int(settings["MemoryMax"].removesuffix("M")) <= 512
    assert "/usr" not in settings["ExecPaths"].split()
    families = set(settings["RestrictAddressFamilies"].split())
    assert families == {"AF_UNIX", "AF_NETLINK"} | ({"AF_INET", "AF_INET6"} if name == "mlvpn@.service" else set())


def test_the_status_command_keeps_what_it_may_need() -> None:
    settings = _read(SCRIPT)["Service"]
    assert settings["LimitCORE"] == "0:infinity"
    confining = ("NoNewPrivileges", "Protect", "Private", "Restrict", "ReadOnly", "Device", "User", "Memory", "Tasks")
    assert not [key for key in settings if key.startswith(confining)]
    for kept in ("NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "DAC_OVERRIDE", "LINUX_IMMUTABLE"):
        assert f"CAP_{kept}" not in settings["CapabilityBoundingSet"].removeprefix("~").split()


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_every_program_is_installed(path: Path, installed: Path) -> None:
    for program in re.findall(r"^Exec\w+=(\S+)", path.read_text(), re.MULTILINE):
        if not program.startswith("/bin/"):
            assert os.access(f"{installed}{program}", os.X_OK), program


@pytest.mark.parametrize("role", sorted(activated.ROLES))
def test_the_sockets_name_is_the_role(role: str) -> None:
    socket = _read(f"mlvpn-{role}@.socket")["Socket"]
    assert socket["FileDescriptorName"] == role
    assert socket["SocketUser"] == activated.USER
    assert socket["SocketMode"] == "0600"
    ending = "sock" if role == "helper" else "script"
    assert socket["ListenSequentialPacket"] == f"{address.DIRECTORY.replace('/run', '%t')}/%i.{ending}"
    unit = _read(f"mlvpn-{role}@.service")
    assert unit["Unit"]["PartOf"] == f"mlvpn-{role}@%i.socket"
    assert unit["Service"]["ExecStart"] == "/usr/libexec/mlvpnd/mlvpn-helper --instance %i"
    assert unit["Service"]["LogExtraFields"] == "MLVPN_INSTANCE=%i"


def test_paths_are_those_of_the_programs() -> None:
    assert config_path("%i") == _read("mlvpn@.service")["Unit"]["AssertPathExists"]
    service = _read("mlvpn@.service")["Service"]
    assert f"/run/{service['RuntimeDirectory']}" == f"{RUNTIME_DIRECTORY}/%i"
    assert f"/var/lib/{service['StateDirectory']}" == f"{STATE_DIRECTORY}/%i"
    assert service["BindPaths"].split() == [f"{RUNTIME_DIRECTORY}/%i", f"{STATE_DIRECTORY}/%i"]
    for name in ("mlvpn-helper@.socket", "mlvpn-script@.socket"):
        # A Condition, so that the message for a wrong name is the tunnel's.
        assert _read(name)["Unit"]["ConditionPathExists"] == config_path("%i")


@pytest.mark.parametrize("name", [path.name for path in UNITS if path.name.startswith(("mlvpn-", "mlvpn@.service"))])
def test_nothing_gives_up_after_some_starts(name: str) -> None:
    assert _read(name)["Unit"]["StartLimitIntervalSec"] == "0"


@pytest.mark.parametrize(
    ("program", "module"),
    [
        ("sbin/mlvpnd", "mlvpnd.cli.mlvpn"),
        ("sbin/mlvpn", "mlvpnd.cli.mlvpn"),
        ("bin/mlvpnctl", "mlvpnd.cli.mlvpnctl"),
        ("bin/mlvpn-decode", "mlvpnd.cli.decode"),
        ("libexec/mlvpnd/mlvpn-helper", "mlvpnd.helper.activated"),
        ("lib/systemd/system-generators/mlvpn-generator", "mlvpnd.systemd.generator"),
    ],
)
def test_launchers(program: str, module: str, installed: Path) -> None:
    """Root's programs take nothing from the environment or the current directory."""
    text = (installed / "usr" / program).read_text()
    assert text.startswith("#!/usr/bin/python3 -I\n")
    imported = [node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    assert imported == [module]
    assert (installed / "usr/lib/python3/dist-packages" / f"{module.replace('.', '/')}.py").exists()


def test_the_whole_package_is_installed(installed: Path) -> None:
    target = installed / "usr/lib/python3/dist-packages"
    there = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    sources = {str(path.relative_to(PROJECT)) for path in (PROJECT / "mlvpnd").rglob("*.py")}
    assert sources <= there
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in there)
    modes = {path.stat().st_mode & 0o777 for path in target.rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_the_installed_helper_starts(installed: Path, tmp_path: Path) -> None:
    """The helper starts from the installed files alone, as far as it can if nothing was handed to it."""
    packages, private = installed / "usr/lib/python3/dist-packages", installed / "usr/lib/mlvpnd"
    if not list(PROJECT.glob(".venv/lib/python3*/site-packages/pytun*.so")):
        # `make install` had no pytun in this tree, so the one of the tests is taken.
        shutil.copy(pytun.__file__, tmp_path)
        private = tmp_path
    code = f"import sys; sys.path[:0] = ['{packages}', '{private}']; sys.argv[0] = 'mlvpn-helper'; "
    code += "from mlvpnd.helper import activated; "
    code += "assert activated.__file__.startswith(sys.path[0]); sys.exit(activated.main())"
    ran = _run("/usr/bin/python3", "-I", "-B", "-c", code, "--instance", "x")
    assert ran.returncode == 1
    assert "0 sockets were passed instead of one" in ran.stderr


def test_the_catalog_explains_every_event(installed: Path) -> None:
    (installed / "var/lib/systemd/catalog").mkdir(parents=True)
    compiled = _run("journalctl", f"--root={installed}", "--update-catalog")
    assert compiled.returncode == 0, compiled.stderr
    listed = _run("journalctl", f"--root={installed}", "--list-catalog").stdout.splitlines()
    assert {line.split()[0] for line in listed} == {event.message_id for event in journal.EVENTS.values()}
    used = set(re.findall(r"@(\w+)@", (SYSTEMD / "mlvpnd.catalog").read_text()))
    known = ("INSTANCE", "LINK", "REASON", "LOSS", "SRTT_USEC", "REQUEST", "SENDER", "SECONDS", "TAKEN")
    assert used <= {f"MLVPN_{name}" for name in known}


@pytest.mark.skipif(os.geteuid() != 0, reason="sets owners")
def test_the_user_and_the_directories(installed: Path, tmp_path: Path) -> None:
    for name in ("sysusers.d", "tmpfiles.d"):
        shutil.copytree(installed / "usr/lib" / name, tmp_path / "usr/lib" / name)
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group"):
        (tmp_path / "etc" / name).write_text("root:x:0:0:root:/root:/bin/sh\n" if name == "passwd" else "root:x:0:\n")
    for program in ("systemd-sysusers", "systemd-tmpfiles"):
        ran = _run(program, f"--root={tmp_path}", *(["--create"] if program.endswith("files") else []), "mlvpnd.conf")
        assert ran.returncode == 0, ran.stderr
    user = (tmp_path / "etc/passwd").read_text().splitlines()[1].split(":")
    assert (user[0], user[4:]) == ("mlvpn", ["MLVPN daemon", "/run/mlvpn", "/usr/sbin/nologin"])
    assert (tmp_path / CONFIG_DIRECTORY[1:]).stat().st_mode & 0o777 == 0o700
    assert (tmp_path / RUNTIME_DIRECTORY[1:]).stat().st_mode & 0o777 == 0o755
