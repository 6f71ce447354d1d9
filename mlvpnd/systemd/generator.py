"""`mlvpn-generator`: makes sockets' units from `/etc/mlvpn/*.conf`.

systemd runs it at boot and at `systemctl daemon-reload`. It writes servers' addresses and ports for
`mlvpn@NAME.socket`, and the path of a control socket that the daemon cannot make. Nothing else of a file may get into a
unit: everybody can read units, and the file holds the password. Which tunnels start is not its matter: `systemctl
enable` says that.

So early only the kernel's log works, and nothing may be waited for.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path

from mlvpnd.base.instance import CONFIG_DIRECTORY, CONFIG_SUFFIX, RUNTIME_DIRECTORY, is_name
from mlvpnd.config import Config, ConfigError, Mode, parse
from mlvpnd.config import file as config_file

UNIT_DIRECTORY = "/lib/systemd/system"
_DROP_IN = "50-mlvpn.conf"
_KERNEL_LOG = "/dev/kmsg"
_HEADER = "# Written by mlvpn-generator.\n"
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._@:+-]*[A-Za-z0-9._@:+-]")
"""A path that a unit takes literally; a space, a % or a backslash might mean something else there."""

Log = Callable[[str], None]


def main(argv: list[str]) -> int:
    """Runs `mlvpn-generator NORMAL [EARLY LATE]`, see systemd.generator(7). Returns 0, whatever is wrong.

    The environment's MLVPN_CONFDIR replaces the directory to read from.
    """
    try:
        generate(Path(argv[1]), Path(os.environ.get("MLVPN_CONFDIR", CONFIG_DIRECTORY)), log_to_kernel)
    except Exception as error:
        log_to_kernel(f"failed: {type(error).__name__}")  # the error's text might quote the file
    return 0


def generate(output: Path, config_directory: Path, log: Log) -> None:
    """Writes the units below `output`; `log` gets a line for everything that is left out."""
    for name in _instances(config_directory, log):
        path = config_directory / f"{name}{CONFIG_SUFFIX}"
        try:
            _write_sockets(output, name, path, log)
        except ConfigError as error:
            log(f"{path}: cannot be used, its sockets are left out: {_places(error)}")
        except Exception as error:
            log(f"{path}: {type(error).__name__}, its sockets are left out")


def link_addresses(config: Config) -> tuple[list[str], bool]:
    """The `ListenDatagram=` values for a server's links, and whether `[::]` there means IPv6 only.

    Left to the daemon are: names, which nobody can look up yet; links with a `binddevice`; an IPv6-only wildcard
    beside one for both families.
    """
    found: dict[str, None] = {}
    bound = [link for link in config.links if link.bindport.isdecimal() and not link.binddevice]
    both = any(not link.bindhost for link in bound)
    ipv6_only = False
    for link in bound if config.mode is Mode.SERVER else ():
        port = int(link.bindport)
        if not link.bindhost:
            found[f"{port}"] = None
            continue
        try:
            address = ipaddress.ip_address(link.bindhost)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv4Address):
            found[f"{address}:{port}"] = None
        elif not address.is_unspecified and not address.scope_id:
            found[f"[{address}]:{port}"] = None
        elif address.is_unspecified and not both:
            found[f"[{address}]:{port}"] = None
            ipv6_only = True
    return list(found), ipv6_only


def control_path(config: Config, name: str) -> str:
    """The path where systemd must make the control socket; empty if there is none or the daemon can make it."""
    if not config.control_unix_path:
        return ""
    path = os.path.normpath(config.control_unix_path)
    return "" if os.path.dirname(path) == f"{RUNTIME_DIRECTORY}/{name}" else path


def log_to_kernel(text: str) -> None:
    """Writes a warning to the kernel's log, where the journal finds it."""
    try:
        with open(_KERNEL_LOG, "w") as log:
            log.write(f"<4>mlvpn-generator: {text}\n")
    except OSError:
        pass  # a container


def _instances(config_directory: Path, log: Log) -> list[str]:
    try:
        files = sorted(file.name for file in config_directory.glob(f"*{CONFIG_SUFFIX}"))
    except OSError:
        return []
    names = [file.removesuffix(CONFIG_SUFFIX) for file in files if not file.startswith(".")]
    for name in names:
        if not is_name(name):
            log(f"{config_directory}: {name!a} is not the name of a tunnel")
    return [name for name in names if is_name(name)]


def _write_sockets(output: Path, name: str, path: Path, log: Log) -> None:
    text = config_file.read(str(path), follow_symlinks=False)
    config = parse(text, str(path), require_password=False).config
    addresses, ipv6_only = link_addresses(config)
    if addresses:
        lines = [f"ListenDatagram={address}" for address in addresses]
        lines += ["BindIPv6Only=ipv6-only"] * ipv6_only
        _drop_in(output, f"mlvpn@{name}.socket", path, lines)
    control = control_path(config, name)
    if control and not _PLAIN_PATH.fullmatch(control):
        log(f"{path}: control_unix_path has characters other than letters, digits and /._@:+-")
    elif control:
        unit = f"mlvpn-control@{name}.socket"
        _drop_in(output, unit, path, [f"ListenStream={control}"])
        _link(output / f"mlvpn@{name}.service.wants" / unit, "mlvpn-control@.socket")


def _places(error: ConfigError) -> str:
    """The lines of the problems only: messages and keys would show the file's content."""
    places = dict.fromkeys(f"line {problem.line}" for problem in error.problems if problem.line)
    return ", ".join(places) or "unreadable, or its owner or mode is wrong"


def _drop_in(output: Path, unit: str, source: Path, lines: list[str]) -> None:
    directory = output / f"{unit}.d"
    directory.mkdir(parents=True, exist_ok=True)
    body = "\n".join(lines)
    (directory / _DROP_IN).write_text(f"{_HEADER}[Unit]\nSourcePath={source}\n\n[Socket]\n{body}\n")


def _link(path: Path, unit: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(f"{UNIT_DIRECTORY}/{unit}")
