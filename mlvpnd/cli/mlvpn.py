"""`mlvpn` and `mlvpnd`: upstream's command line, read as upstream reads it and as its guide writes it."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from mlvpnd import __version__
from mlvpnd.base.options import DEFAULT_VERBOSITY, Options
from mlvpnd.errors import MlvpndError
from mlvpnd.helper import address
from mlvpnd.logs import log

from . import streams

if TYPE_CHECKING:
    from mlvpnd.helper.client import HelperClient

MAX_DEBUG_TOKENS = 40
"""Upstream's limit for -D."""

FAILURE_PAUSE = 1.5
"""Seconds that a service which cannot run waits before it ends, since systemd starts it again almost at once."""

_DEFAULTS = Options()
_GUIDE_FORMS = frozenset(
    ("-config", "-debug", "-natural-title", "-name", "-user", "-verbose", "-quiet", "-version", "-help")
)
"""Long options with one dash, as upstream's guide prints them."""
_TAKES_VALUE = frozenset(("-c", "--config", "-config", "-D", "-n", "--name", "-name", "-u", "--user", "-user"))


def main(argv: list[str] | None = None) -> int:
    """Runs `mlvpn ARGUMENTS`; returns the exit code: 0 after a clean stop, 1 after a fatal error."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["check-config"]:
        from mlvpnd.ctl import check_config

        return check_config.main(arguments[1:])
    if arguments[:1] == ["--instance"] and len(arguments) == 2:
        return _run_instance(arguments[1])
    streams.ensure_standard()
    options, remarks = parse(arguments)
    if log.setup(options) is not None:
        _echo_fatal_errors()
    for remark in remarks:
        log.logger().warning("%s", remark)
    return start(options)


def _run_instance(name: str) -> int:
    """The daemon of `mlvpn@NAME.service`."""
    address.wake(name, address.Role.HELPER)
    from mlvpnd.daemon import run as daemon
    from mlvpnd.daemon import sandbox
    from mlvpnd.helper.service_client import ServiceHelper
    from mlvpnd.logs import setup as log_setup
    from mlvpnd.systemd import given

    try:
        sandbox.hide_memory()  # the daemons of other tunnels have the same user
        options = given.options(name)
        log_setup.setup(options)
        helper = ServiceHelper(name)
        helper.service = given.gather(name)
        code = daemon.run(options, helper, helper.service)
    except MlvpndError as error:
        log.logger().critical("%s", error)
        code = 1
    if code:
        time.sleep(FAILURE_PAUSE)
    return code


def start(options: Options) -> int:
    """Starts the daemon by hand and stays until it ends."""
    # A reload that comes too early waits until it can be served; its default would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    from mlvpnd.helper import byhand

    try:
        return byhand.run(options, _daemon)
    except (MlvpndError, OSError) as error:
        log.logger().critical("%s", error)
        return 1


def parse(arguments: list[str]) -> tuple[Options, list[str]]:
    """The options, and remarks on what is ignored. Exits for --help, --version (0) and wrong usage (2)."""
    parser = _parser()
    words, others = _with_two_dashes(arguments)
    found, more = parser.parse_known_args(words)
    unknown = [word for word in more if word.startswith("-") and word != "-"]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    remarks = [f"argument {word} ignored" for word in more + others]
    tokens: list[str] = found.token
    if len(tokens) > MAX_DEBUG_TOKENS:
        remarks.append(f"-D: {len(tokens)} tokens given, all after the first {MAX_DEBUG_TOKENS} are ignored")
        tokens = tokens[:MAX_DEBUG_TOKENS]
    for token in dict.fromkeys(tokens):
        if token not in log.TOKENS:
            remarks.append(f"-D: unknown token {token}, known are {' '.join(sorted(log.TOKENS))}")
    options = Options(
        config_path=os.path.abspath(found.config),
        name=found.name,
        user=found.user,
        verbosity=DEFAULT_VERBOSITY + found.verbose - found.quiet,
        log_to_terminal=found.debug or bool(tokens),
        debug_tokens=frozenset(tokens) & log.TOKENS,
        natural_title=found.natural_title,
    )
    return options, remarks


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mlvpn",
        description="Multi-link VPN: one tunnel over several internet lines at once.",
        epilog="'mlvpnd check-config FILE...' checks configuration files and starts nothing; "
        "'mlvpnd --instance NAME' is what mlvpn@NAME.service starts.",
    )
    add = parser.add_argument
    add("-c", "--config", metavar="FILE", default=_DEFAULTS.config_path, help="configuration file (%(default)s)")
    add("--debug", action="store_true", help="log to the terminal instead of syslog")
    add("-D", dest="token", metavar="TOKEN", action="append", default=[], help=_token_help())
    add("--natural-title", action="store_true", help="leave the process title alone")
    add("-n", "--name", metavar="NAME", default=_DEFAULTS.name, help="in titles and syslog (%(default)s)")
    add("-u", "--user", metavar="USER", default=_DEFAULTS.user, help="run the daemon as this user (%(default)s)")
    add("-v", "--verbose", action="count", default=0, help="log more; may be repeated")
    add("-q", "--quiet", action="count", default=0, help="log less; may be repeated")
    add("-V", "--version", action="version", version=f"mlvpn version {__version__}.", help="print the version")
    add("--yes-run-as-root", action="store_true", help="accepted, without effect, as in MLVPN")
    return parser


def _token_help() -> str:
    return "as --debug, with the debug lines of a subsystem: " + " ".join(sorted(log.TOKENS))


def _with_two_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The guide's `-user mlvpn -debug` as `--user mlvpn --debug`, and apart from them what follows a `--`.

    Values of options are left alone.
    """
    words: list[str] = []
    previous = ""
    for position, word in enumerate(arguments):
        is_value = previous in _TAKES_VALUE
        if word == "--" and not is_value:
            return words, arguments[position + 1 :]
        words.append(f"-{word}" if word in _GUIDE_FORMS and not is_value else word)
        previous = "" if is_value else word
    return words, []


def _echo_fatal_errors() -> None:
    """Shows fatal errors on standard error too when the log goes to syslog: somebody may be waiting there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.CRITICAL)
    handler.setFormatter(logging.Formatter("mlvpn: %(message)s"))
    logging.getLogger(log.ROOT).addHandler(handler)


def _daemon(options: Options, helper: HelperClient) -> int:
    """The forked child: everything is imported, then root is given up, then the network is listened to."""
    # Not before the fork: the privileged process needs no protocol code.
    from mlvpnd.daemon import run as daemon
    from mlvpnd.daemon import sandbox

    daemon.preload()
    sandbox.enter(options.user)
    return daemon.run(options, helper)
