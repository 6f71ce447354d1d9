"""`mlvpnctl doctor [TUNNEL]`."""

from __future__ import annotations

import argparse
import os
import shutil
import textwrap
from collections.abc import Iterable, Iterator
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
from .finding import WHICH_FILE, Finding, Severity, problem, warning
from .limits import Limits, NotFinished
from .network import KernelNetwork

CONFIG_DIRECTORY = Path(instance.CONFIG_DIRECTORY)
_STYLE = {Severity.OK: "good", Severity.WARNING: "odd", Severity.PROBLEM: "bad"}
_WORD_WIDTH = max(len(severity.value) for severity in Severity)
_INDENT = " " * (_WORD_WIDTH + 4)


def doctor(context: Context, arguments: argparse.Namespace) -> int:
    """Examines the host, and the named tunnel (or a file given by its path), or all tunnels of /etc/mlvpn."""
    limits = Limits()
    report = _Report(context.output)
    report.add("", examine_host(limits))
    paths, remark = _paths(context, arguments.tunnel)
    if remark is not None:
        report.add("", [remark])
    if paths:
        try:
            with limits.value(KernelNetwork) as network:
                tools = kernel_tools(network)
                for name, path in paths.items():
                    report.add(name, examine(_patient(context, name, path, limits), tools, limits))
        except NotFinished as late:
            report.add("", [warning("route", f"interfaces, addresses and routes: {late}")])
    return report.end()


def _patient(context: Context, name: str, path: Path, limits: Limits) -> Patient:
    is_instance = path.parent == CONFIG_DIRECTORY
    try:
        tunnel = limits.value(lambda: _running(context, name) if is_instance else _running_by_hand(path))
    except NotFinished as late:
        return Patient(name, path, None, is_instance, str(late))
    return Patient(name, path, tunnel, is_instance)


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
        return {}, problem("config", text, f"install -m 600 FILE {CONFIG_DIRECTORY}/mlvpn0.conf").noted(WHICH_FILE)
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


class _Report:
    """Writes findings as they come, for programs all at the end: their answer is one list."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bad = False
        self._group: str | None = None
        self._columns = max(60, min(120, shutil.get_terminal_size((100, 24)).columns))
        self._objects: list[dict[str, object]] = []

    def add(self, name: str, findings: Iterable[Finding]) -> None:
        """Writes the findings of a tunnel, or of the host for an empty name."""
        if name != self._group and not self._output.as_json:
            self._output.line(("strong", f"tunnel {printable(name)}" if name else "this host"))
        self._group = name
        for finding in findings:
            self._bad = self._bad or finding.severity is Severity.PROBLEM
            if self._output.as_json:
                self._objects.append({"Tunnel": name, **finding.to_json()})
            elif finding.severity is not Severity.OK or not self._output.options.quiet:
                for line in self._lines(finding):
                    self._output.line(line)

    def end(self) -> int:
        """The exit code, after all findings."""
        if self._output.as_json:
            self._output.json(self._objects)
        return FAILED if self._bad else DONE

    def _lines(self, finding: Finding) -> Iterator[str]:
        word = self._output.styled((_STYLE[finding.severity], f"{finding.severity.value:<{_WORD_WIDTH}}"))
        first, *more = self._wrapped(finding.text)
        yield f"  {word}  {first}"
        for line in more:
            yield f"{_INDENT}{line}"
        # Commands are not wrapped: people copy them.
        for command in finding.commands:
            yield f"{_INDENT}  {printable(command)}"
        if finding.note:
            for line in self._wrapped(finding.note):
                yield f"{_INDENT}{line}"

    def _wrapped(self, text: str) -> list[str]:
        return textwrap.wrap(printable(text), self._columns - len(_INDENT), break_on_hyphens=False)
