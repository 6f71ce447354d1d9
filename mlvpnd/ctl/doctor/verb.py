"""`mlvpnctl doctor [TUNNEL]`."""

from __future__ import annotations

import argparse
import os
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path

from mlvpnd.base import instance
from mlvpnd.base.printable import printable
from mlvpnd.config import Config, ConfigError, parse
from mlvpnd.config.file import read
from mlvpnd.ctl import private_socket
from mlvpnd.ctl.errors import DONE, FAILED, CtlError, Unreachable
from mlvpnd.ctl.model import TunnelView, from_control
from mlvpnd.ctl.output import Output
from mlvpnd.ctl.verbs import Context

from .examine import Patient, examine, examine_host, kernel_tools
from .finding import Finding, Severity, problem, warning
from .network import KernelNetwork

CONFIG_DIRECTORY = Path(instance.CONFIG_DIRECTORY)
_STYLE = {Severity.OK: "good", Severity.WARNING: "odd", Severity.PROBLEM: "bad"}
_WORD_WIDTH = max(len(severity.value) for severity in Severity)
_INDENT = " " * (_WORD_WIDTH + 4)


def doctor(context: Context, arguments: argparse.Namespace) -> int:
    """Examines the host, and the named tunnel (or a file given by its path), or all tunnels of /etc/mlvpn."""
    groups: dict[str, list[Finding]] = {"": examine_host()}
    paths, remark = _paths(context, arguments.tunnel)
    if remark is not None:
        groups[""].append(remark)
    if paths:
        with KernelNetwork() as network:
            tools = kernel_tools(network)
            for name, path in paths.items():
                is_instance = path.parent == CONFIG_DIRECTORY
                tunnel = _running(context, name) if is_instance else _running_by_hand(path)
                groups[name] = examine(Patient(name, path, tunnel, is_instance), tools)
    _show(groups, context.output)
    findings = [finding for group in groups.values() for finding in group]
    return FAILED if any(finding.severity is Severity.PROBLEM for finding in findings) else DONE


def _paths(context: Context, what: str | None) -> tuple[dict[str, Path], Finding | None]:
    """The files to examine, by the tunnels' names; also a finding if they cannot be listed."""
    if what is not None and "/" in what:
        path = Path(os.path.abspath(what))
        return {path.stem: path}, None
    if what is not None:
        context.source.check_name(what)
        return {what: Path(instance.config_path(what))}, None
    try:
        with os.scandir(CONFIG_DIRECTORY) as entries:
            found = sorted(Path(entry.path) for entry in entries if entry.name.endswith(instance.CONFIG_SUFFIX))
    except PermissionError:
        text = f"{CONFIG_DIRECTORY} cannot be read as this user: only the host was examined"
        return {}, warning("config", text, "sudo mlvpnctl doctor")
    except OSError as error:
        return {}, problem("config", f"{CONFIG_DIRECTORY}: {error.strerror}", f"install -d -m 700 {CONFIG_DIRECTORY}")
    if not found:
        text = f"there is no tunnel: {CONFIG_DIRECTORY} holds no file NAME.conf"
        return {}, problem("config", text, f"install -m 600 FILE {CONFIG_DIRECTORY}/mlvpn0.conf")
    return {path.stem: path for path in found}, None


def _running(context: Context, name: str) -> TunnelView | None:
    try:
        return context.source.full(name)
    except CtlError:
        return None


def _running_by_hand(path: Path) -> TunnelView | None:
    """The view from the control socket of a daemon that was started by hand with the file."""
    config = _config(path)
    if config is None or not config.control_unix_path:
        return None
    try:
        return from_control(private_socket.ask_status(config.control_unix_path))
    except (CtlError, Unreachable):
        return None


def _config(path: Path) -> Config | None:
    try:
        return parse(read(str(path)), str(path), require_password=False).config
    except ConfigError:
        return None


def _show(groups: Mapping[str, list[Finding]], output: Output) -> None:
    if output.as_json:
        output.json([{"Tunnel": name, **finding.to_json()} for name, group in groups.items() for finding in group])
        return
    lines = []
    columns = max(60, min(120, shutil.get_terminal_size((100, 24)).columns))
    for name, group in groups.items():
        lines.append(output.styled(("strong", f"tunnel {printable(name)}" if name else "this host")))
        for finding in group:
            if finding.severity is Severity.OK and output.options.quiet:
                continue
            word = output.styled((_STYLE[finding.severity], f"{finding.severity.value:<{_WORD_WIDTH}}"))
            first, *more = textwrap.wrap(printable(finding.text), columns - len(_INDENT), break_on_hyphens=False)
            lines.append(f"  {word}  {first}")
            lines += [f"{_INDENT}{line}" for line in more]
            # Commands are not wrapped: people copy them.
            lines += [f"{_INDENT}  {printable(command)}" for command in finding.commands]
    output.page(lines)
