"""`mlvpnd check-config FILE…`: would a start take these files, and does each line do what it seems to do?

This is stricter than a start: what upstream lets pass (unknown keys, text after numbers, …) is an error here. Filters
and rules are compiled, and it is checked whether the wanted data plane can run here.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlvpnd.base.instance import CONFIG_DIRECTORY, CONFIG_SUFFIX, credential_of
from mlvpnd.base.printable import printable
from mlvpnd.config import Config, ConfigError, DeviceKind, Mode, parse, rates
from mlvpnd.config.file import read
from mlvpnd.config.model import LinkConfig
from mlvpnd.config.passwords import weakness_of
from mlvpnd.config.problems import HIDDEN, Problem, shown
from mlvpnd.config.values import endpoint
from mlvpnd.dataplane import choice
from mlvpnd.net.interface import index_of, local_end

CREDENTIAL_STORES = tuple(Path(base) / "credstore.encrypted" for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))
"""Where systemd looks for encrypted credentials."""
REFUSED = "a start refuses this file"
TAKEN = "a start takes this file, and only warns of this"


def main(argv: list[str]) -> int:
    """Checks the files in `argv`, the arguments after `check-config`.

    Returns 0: all are good, 1: one is not, 2: wrong usage. Problems go to standard error.
    """
    parser = argparse.ArgumentParser(
        prog="mlvpnd check-config", description="Check configuration files as a start does, and more strictly."
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="the configuration of a tunnel")
    try:
        paths: list[str] = parser.parse_args(argv).files
    except SystemExit as end:
        return 2 if end.code else 0
    results = [_check(path) for path in paths]
    return 0 if all(results) else 1


def has_credential(name: str, stores: Sequence[Path] = CREDENTIAL_STORES) -> bool:
    """Whether systemd would give the tunnel's service a password."""
    return any((store / credential_of(name)).exists() for store in stores)


def _needs_password(path: str) -> bool:
    """Whether the file must have the password: not that of a service with a credential."""
    directory, name = os.path.split(os.path.abspath(path))
    if directory != CONFIG_DIRECTORY or not name.endswith(CONFIG_SUFFIX):
        return True
    return not has_credential(name.removesuffix(CONFIG_SUFFIX))


def _check(path: str) -> bool:
    """Prints what is wrong with the file, or that it is good; returns whether it is good."""
    try:
        text = read(path)
    except ConfigError as error:
        _print(error.problems, "")
        print(f"{printable(path)}: {REFUSED}")
        return False
    problems, starts, needs = tuple[Problem, ...](), False, _needs_password(path)
    try:
        strict = parse(text, path, strict=True, require_password=needs)
        links, warnings = strict.config.links, strict.warnings
    except ConfigError as error:
        problems, warnings = error.problems, error.warnings
    with contextlib.suppress(ConfigError):
        # These can be checked in every file that a start would take.
        config = parse(text, path, require_password=needs).config
        refused = tuple(data_plane_problems(config, path))
        problems += (*refused, *device_problems(config, path), *expression_problems(config, path))
        starts = not refused
        warnings += tuple(device_remarks(config, path))
        if config.password and (weakness := weakness_of(config.password)):
            warnings += (Problem(path, 0, "password", weakness),)
        if copied := rates.examples_of(config.links):
            warnings += (Problem(path, config.links[0].line, "bandwidth_upload", copied),)
    _print(problems, "")
    _print(warnings, "warning: ")
    if problems:
        print(f"{printable(path)}: {TAKEN if starts else REFUSED}")
    else:
        print(f"{printable(path)}: ok, {len(links)} {'link' if len(links) == 1 else 'links'}")
    return not problems


def data_plane_problems(config: Config, path: str) -> Iterator[Problem]:
    """A problem if the twin that the file asks for cannot run here."""
    if problem := choice.problem(config.data_plane):
        yield Problem(path, 0, "data_plane", printable(problem))


def device_problems(config: Config, path: str) -> Iterator[Problem]:
    """Server links that want the same port of one interface, under different names of the interface."""
    taken: dict[tuple[tuple[str, str], int], LinkConfig] = {}
    for link in config.links if config.mode is Mode.SERVER else ():
        if not link.binddevice or not (number := index_of(link.binddevice)):
            continue
        other = taken.setdefault((endpoint(link.bindhost, link.bindport), number), link)
        if other.binddevice != link.binddevice:
            message = (
                f"[{shown(link.name)}] has the same bind address and port as [{shown(other.name)}] in line"
                f" {other.line}: {shown(link.binddevice)} and {shown(other.binddevice)} are one interface"
            )
            yield Problem(path, link.line, "binddevice", message)


def device_remarks(config: Config, path: str) -> Iterator[Problem]:
    """Links whose `bindhost` is taken as the interface of that name, which exists on this host."""
    for link in config.links:
        host, device = local_end(link.bindhost, link.binddevice)
        if host != link.bindhost:
            name = shown(link.bindhost)
            text = f"[{shown(link.name)}] {name} is an interface: the link is bound to {shown(device)}"
            yield Problem(path, link.line, "bindhost", f'{text}; write binddevice = "{shown(device)}"')


def expression_problems(config: Config, path: str) -> Iterator[Problem]:
    """Filters and rules that libpcap refuses for this kind of interface; a start leaves them out with a warning."""
    filters = [("filter", one.link, one.link, one.expression, one.line, one.quotable) for one in config.filters]
    rules = [("rule", one.action.value, one.head, one.expression, one.line, True) for one in config.rules]
    if not filters and not rules:
        return
    try:
        from mlvpnd.net import bpf  # needs libpcap; a file without filters and rules does not
    except ImportError as error:
        yield Problem(path, 0, "", f"filters and rules cannot be checked: {printable(str(error))}")
        return
    link_type = bpf.LinkType.ETHERNET if config.tuntap is DeviceKind.TAP else bpf.LinkType.RAW
    for kind, key, head, expression, line, quotable in filters + rules:
        try:
            bpf.compile(expression, link_type)
        except bpf.FilterError as error:
            said = (shown(expression), printable(str(error))) if quotable else (HIDDEN, "the line has no '='")
            message = f"invalid {kind} {shown(head)} = {': '.join(said)}"
            yield Problem(path, line, key, message)


def _print(problems: tuple[Problem, ...], prefix: str) -> None:
    for problem in problems:
        print(f"{prefix}{problem}", file=sys.stderr)
