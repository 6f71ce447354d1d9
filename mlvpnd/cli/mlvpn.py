"""`mlvpn` and `mlvpnd`: upstream's command line, as upstream's program reads it and as its guide writes it."""

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
"""Upstream's limit for the number of -D."""

FAILURE_PAUSE = 1.5
"""Seconds that a service waits before it ends with a failure: systemd starts it again almost at once."""

_DEFAULTS = Options()
_GUIDE_FORMS = frozenset(
    ("-config", "-debug", "-natural-title", "-name", "-user", "-verbose", "-quiet", "-version", "-help")
)
"""Long options with one dash, as in upstream's guide."""
_TAKES_VALUE = frozenset(("-c", "--config", "-config", "-D", "-n", "--name", "-name", "-u", "--user", "-user"))


def main(argv: list[str] | None = None) -> int:
    """Runs `mlvpn ARGUMENTS`. Returns the exit code: 0 after a clean stop, 1 after a fatal error."""
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
    """Runs the daemon of `mlvpn@NAME.service`."""
    address.wake(name, address.Role.HELPER)
    from mlvpnd.daemon import run as daemon
    from mlvpnd.daemon import sandbox
    from mlvpnd.helper.service_client import ServiceHelper
    from mlvpnd.logs import setup as log_setup
    from mlvpnd.systemd import given

    try:
        sandbox.hide_memory()  # other tunnels' daemons have the same user
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
    """Starts the daemon by hand and waits for its end."""
    # An early SIGHUP waits until it can be served; by default it would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    from mlvpnd.helper import byhand

    try:
        return byhand.run(options, _daemon)
    except (MlvpndError, OSError) as error:
        log.logger().critical("%s", error)
        return 1


def parse(arguments: list[str]) -> tuple[Options, list[str]]:
    """The options, and remarks on ignored arguments. Exits for --help, --version (0) and wrong usage (2)."""
    parser = _parser()
    words, others = _with_two_dashes(arguments)
    found, more = parser.parse_known_args(words)
    unknown = [word for word in more if word.startswith("-") and word != "-"]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    remarks = [f"argument {word} ignored" for word in more + others]
    tokens: list[str] = found.token
    if len(tokens) > MAX_DEBUG_TOKENS:
        remarks.append(f"-D: {len(tokens)} tokens are given: only the first {MAX_DEBUG_TOKENS} are used")
        tokens = tokens[:MAX_DEBUG_TOKENS]
    for token in dict.fromkeys(tokens):
        if token not in log.TOKENS:
            remarks.append(f"-D: unknown token {token}; allowed: {' '.join(sorted(log.TOKENS))}")
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
    add("-n", "--name", metavar="NAME", default=_DEFAULTS.name, help="name in process titles and syslog (%(default)s)")
    add("-u", "--user", metavar="USER", default=_DEFAULTS.user, help="run the daemon as this user (%(default)s)")
    add("-v", "--verbose", action="count", default=0, help="log more; may be repeated")
    add("-q", "--quiet", action="count", default=0, help="log less; may be repeated")
    add("-V", "--version", action="version", version=f"mlvpn version {__version__}.", help="print the version")
    add("--yes-run-as-root", action="store_true", help="accepted, without effect, as in MLVPN")
    return parser


def _token_help() -> str:
    return "as --debug, and also the debug lines of one subsystem: " + " ".join(sorted(log.TOKENS))


def _with_two_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Turns the guide's `-user mlvpn -debug` into `--user mlvpn --debug`; second, the words after a `--`.

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
    """Also shows fatal errors on standard error when the log goes to syslog: somebody may wait there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.CRITICAL)
    handler.setFormatter(logging.Formatter("mlvpn: %(message)s"))
    logging.getLogger(log.ROOT).addHandler(handler)


def _daemon(options: Options, helper: HelperClient) -> int:
    """The forked child: imports everything, then gives up root, then listens to the network."""
    # Imported after the fork: the privileged process needs no protocol code.
    from mlvpnd.daemon import run as daemon
    from mlvpnd.daemon import sandbox

    daemon.preload()
    sandbox.enter(options.user)
    return daemon.run(options, helper)
