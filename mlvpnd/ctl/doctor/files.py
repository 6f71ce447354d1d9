"""Checks of files alone: the configuration and the status command."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlvpnd.base.instance import credential_of
from mlvpnd.base.printable import printable
from mlvpnd.config import Config, ConfigError, Mode, parse, passwords
from mlvpnd.config.file import read
from mlvpnd.ctl.check_config import CREDENTIAL_STORES, expression_problems, has_credential
from mlvpnd.helper.files import UnsafeFile, check_script

from .finding import WHICH_FILE, Finding, ok, problem, warning

_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class FileResult:
    """A checked configuration file; `config` None: it cannot be used."""

    config: Config | None
    findings: tuple[Finding, ...]


def check_config_file(path: Path, *, credential: bool = False) -> FileResult:
    """Whether a start would take the file, and whether every line does what it seems to do.

    `credential`: the password may come as a systemd credential, see `check_credential`.
    """
    try:
        text = read(str(path))
    except ConfigError as error:
        return FileResult(None, (_unreadable(path, str(error.problems[0].message)),))
    findings: list[Finding] = []
    try:
        config = parse(text, str(path), require_password=not credential).config
    except ConfigError as error:
        findings += [problem("config", str(one)) for one in error.problems[:_SHOWN_PROBLEMS]]
        findings[-1] = problem("config", findings[-1].text, f"mlvpnctl check-config {path}")
        return FileResult(None, tuple(findings))
    try:
        remarks = [*parse(text, str(path), strict=True, require_password=not credential).warnings]
    except ConfigError as error:
        remarks = [*error.problems, *error.warnings]
    remarks += expression_problems(config, str(path))
    findings += [warning("config", str(one)) for one in remarks[:_SHOWN_PROBLEMS]]
    if len(remarks) > _SHOWN_PROBLEMS:
        text_more = f"{path}: there are {len(remarks) - _SHOWN_PROBLEMS} more remarks"
        findings.append(warning("config", text_more, f"mlvpnctl check-config {path}"))
    if not findings:
        findings.append(ok("config", f"{printable(str(path))} is good"))
    return FileResult(config, tuple(findings))


def check_credential(name: str, config: Config, stores: Sequence[Path] = CREDENTIAL_STORES) -> Iterator[Finding]:
    """Whether a tunnel that systemd runs has a password from anywhere."""
    if config.password or has_credential(name, stores):
        return
    wanted = credential_of(name)
    yield problem(
        "password",
        f"the tunnel {name} has no password, neither in its file nor as a credential",
        f"mkdir -p -m 700 {stores[0]}",
        f"systemd-ask-password -n | systemd-creds encrypt --name={wanted} - {stores[0] / wanted}",
    )


def check_shared_password(path: Path, config: Config) -> Iterator[Finding]:
    """Whether another file has the same password. Nothing of the password is shown."""
    for other in passwords.files_with_password_of(config, str(path)):
        yield warning("password", passwords.warning_of(other))


def _unreadable(path: Path, reason: str) -> Finding:
    shown = printable(str(path))
    try:
        found = path.stat()
    except OSError as error:
        if error.errno == errno.EACCES:
            return warning("config", f"{shown} cannot be examined as this user", f"sudo mlvpnctl doctor {path}")
        if error.errno == errno.ENOENT:
            return problem("config", f"{shown} does not exist", f"install -m 600 FILE {path}").noted(WHICH_FILE)
        return problem("config", f"{shown}: {reason}")
    if stat.S_ISREG(found.st_mode):
        if found.st_mode & 0o077:
            mode = f"mode {stat.S_IMODE(found.st_mode):04o}"
            text = f"{shown} is refused: it holds the password, and others have access to it ({mode})"
            return problem("config", text, f"chmod 600 {path}")
        if found.st_uid and found.st_uid != os.geteuid():
            # Root can read any file; for any other user, the owner may be the only reason of the refusal.
            if os.geteuid():
                return warning("config", f"{shown} cannot be read as this user", f"sudo mlvpnctl doctor {path}")
            text = f"{shown} is refused: it belongs to user {found.st_uid} and not to root"
            return problem("config", text, f"chown root:root {path}")
        if os.geteuid() and found.st_uid == 0:
            return warning("config", f"{shown} cannot be read as this user", f"sudo mlvpnctl doctor {path}")
    return problem("config", f"{shown}: {reason}")


def check_status_command(config: Config) -> Iterator[Finding]:
    """Whether root would run the status command; without one, whether anybody configures the interface."""
    path = config.statuscommand
    if not path:
        if not config.configure_interface:
            text = "nobody configures the interface: there is neither a statuscommand nor configure_interface = 1"
            yield warning("status-command", text)
        return
    try:
        check_script(path)
    except UnsafeFile as error:
        commands = [f"chown root:root {path}", f"chmod 700 {path}"] if Path(path).exists() else []
        yield problem("status-command", f"the status command would not be run: {error}", *commands)
    except PermissionError:
        yield warning("status-command", f"{path} cannot be examined as this user")
    else:
        yield ok("status-command", f"the status command {printable(path)} may be run by root")


def check_links_of_file(config: Config) -> Iterator[Finding]:
    """The file's links together."""
    links = config.links
    if not links:
        yield problem("links", "there is no link in the file: add a section for each internet line")
        return
    if len(links) == 1:
        text = f"there is only one link, {links[0].name}: when it is down, the tunnel is down"
        yield warning("links", text)
        return
    if not any(link.bandwidth_upload for link in links):
        # If only some have none, the parser has reported it.
        yield warning(
            "weights",
            "no link has a bandwidth_upload: all links get the same share, and the slowest one holds the others back."
            " Set it in each section to what the line can send, in bytes per second (20 Mbit/s is 2500000)",
        )
    if not config.reorder_buffer_size:
        yield warning(
            "reorder",
            "reorder_buffer_size is 0: packets that took different lines arrive out of order, which slows TCP down."
            " Put 'reorder_buffer_size = 512' into [general]",
        )
    if all(link.fallback_only for link in links):
        yield warning("fallback", "all links are fallback_only: the key has no effect then")
    unbound = ", ".join(link.name for link in links if not link.bindhost and not link.binddevice)
    if config.mode is Mode.CLIENT and unbound:
        yield warning(
            "source",
            f"{unbound}: without bindhost or binddevice, packets leave by the default route and not by a line of their"
            " own. Give each link one of these keys",
        )
