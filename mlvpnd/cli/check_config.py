"""`mlvpnd check-config FILE…`: would a start take these files, and does any line not do what it seems to?

Stricter than a start: what upstream lets pass (unknown keys, text after numbers, …) is an error here. Filters
are compiled.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator

from mlvpnd.config import Config, ConfigError, DeviceKind, parse
from mlvpnd.config.file import read
from mlvpnd.config.problems import Problem, shown
from mlvpnd.printable import printable


def main(argv: list[str]) -> int:
    """Checks the files named in `argv`, the arguments after `check-config`.

    Returns 0 if all are good, 1 if one is not, 2 on wrong usage. Problems go to standard error.
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


def _check(path: str) -> bool:
    """Prints what is wrong with the file, or that it is good, and returns whether it is."""
    try:
        text = read(path)
    except ConfigError as error:
        _print(error.problems, "")
        return False
    problems: tuple[Problem, ...] = ()
    try:
        strict = parse(text, path, strict=True)
        links, warnings = strict.config.links, strict.warnings
    except ConfigError as error:
        problems, warnings = error.problems, error.warnings
    with contextlib.suppress(ConfigError):
        # Filters are there to be looked at in all files that a start would take.
        problems += tuple(filter_problems(parse(text, path).config, path))
    _print(problems, "")
    _print(warnings, "warning: ")
    if not problems:
        print(f"{printable(path)}: ok, {len(links)} {'link' if len(links) == 1 else 'links'}")
    return not problems


def filter_problems(config: Config, path: str) -> Iterator[Problem]:
    """The filters that libpcap refuses for this kind of interface; a start leaves them out, with a warning."""
    if not config.filters:
        return
    try:
        from mlvpnd.net import bpf  # needs libpcap, which a file without filters does not
    except ImportError as error:
        yield Problem(path, 0, "", f"filters cannot be checked: {printable(str(error))}")
        return
    link_type = bpf.LinkType.ETHERNET if config.tuntap is DeviceKind.TAP else bpf.LinkType.RAW
    for one in config.filters:
        try:
            bpf.compile(one.expression, link_type)
        except bpf.FilterError as error:
            message = f"invalid filter {shown(one.link)} = {shown(one.expression)}: {printable(str(error))}"
            yield Problem(path, one.line, one.link, message)


def _print(problems: tuple[Problem, ...], prefix: str) -> None:
    for problem in problems:
        print(f"{prefix}{problem}", file=sys.stderr)
