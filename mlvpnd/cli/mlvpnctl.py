"""`mlvpnctl`: the command line. The verbs are in `mlvpnd.ctl`, which is imported when the verb is known."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mlvpnd import __version__
from mlvpnd.base.levels import LOG_LEVELS
from mlvpnd.ctl.errors import DONE, FAILED, WRONG_USAGE, CtlError

from . import streams

if TYPE_CHECKING:
    from mlvpnd.ctl.verbs import Context, Verb

_JSON_MODES = ("pretty", "short", "off")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `mlvpnctl ARGUMENTS`.

    Returns 0: done, 1: failed, 2: wrong usage, 3: tunnel not running, 4: no such tunnel or link, 5: not allowed.
    """
    streams.ensure_standard()
    for stream in (sys.stdout, sys.stderr):
        # A name may have letters that the terminal does not have.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = _main(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except OSError as error:
        # Standard output takes no more: the interpreter must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # on a broken pipe the reader has seen enough
            print(f"mlvpnctl: {error}", file=sys.stderr)
        return FAILED
    return code


def _main(argv: Sequence[str]) -> int:
    try:
        return run(parse(argv))
    except SystemExit as end:
        return WRONG_USAGE if end.code else DONE
    except CtlError as error:
        print(f"mlvpnctl: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return FAILED


def run(arguments: argparse.Namespace) -> int:
    """Does what the command line says. Raises CtlError."""
    context = _context(arguments)
    try:
        return _verb(arguments)(context, arguments)
    except KeyboardInterrupt:
        if arguments.verb == "monitor":
            return DONE  # the only way to end it
        raise
    finally:
        context.bus.close()


def _verb(arguments: argparse.Namespace) -> Verb:
    word = arguments.verb
    if word == "top":
        from mlvpnd.ctl import top_verb

        return top_verb.live if arguments.samples is None else top_verb.top
    if word == "doctor":
        from mlvpnd.ctl.doctor.verb import doctor

        return doctor
    from mlvpnd.ctl import verbs

    return {
        "list": verbs.list_tunnels,
        "status": verbs.status,
        "links": verbs.links,
        "show": verbs.show,
        "monitor": verbs.monitor,
        "reload": verbs.reload,
        "link": verbs.link,
        "bandwidth": verbs.bandwidth,
        "forget": verbs.forget,
        "log-level": verbs.log_level,
        "log": verbs.log,
        "check-config": verbs.check_config,
    }[word]


def _context(arguments: argparse.Namespace) -> Context:
    from mlvpnd.ctl.client import SystemBus
    from mlvpnd.ctl.output import Output, OutputOptions, colour_wanted
    from mlvpnd.ctl.source import Source
    from mlvpnd.ctl.verbs import Context

    options = OutputOptions(
        json=arguments.json,
        legend=arguments.legend,
        quiet=arguments.quiet,
        pager=arguments.pager,
        colour=colour_wanted(os.environ, terminal=sys.stdout.isatty()),
    )
    bus = SystemBus(interactive=arguments.ask_password)
    return Context(bus, Source(bus), Output(options), ask_password=arguments.ask_password)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, with every option's default. Exits for --help, --version (0) and wrong usage (2)."""
    found = _parser(_named_verb(argv)).parse_args(argv, argparse.Namespace(**_DEFAULTS))
    if found.verb is None:
        found.verb = "list"
    if found.verb == "top" and found.samples is None and found.json != "off":
        found.samples = 1
    return found


_DEFAULTS = {"json": "off", "quiet": False, "legend": True, "pager": True, "ask_password": True}


def _named_verb(argv: Sequence[str]) -> str:
    """The verb, if it can be found without a parser; else empty."""
    before = ""
    for word in argv:
        if word in ("-h", "--help", "--"):
            return ""
        if not word.startswith("-") and before != "--json":
            return word if word in _VERBS else ""
        before = word
    return ""


def _parser(only: str = "") -> argparse.ArgumentParser:
    """The parser for all verbs, or for `only` one: making the others takes as long as asking a tunnel."""
    # Options may stand before and after the verb; without SUPPRESS the second parser would undo the first one.
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    add = options.add_argument
    add("--json", metavar="MODE", choices=_JSON_MODES, help="output for programs: pretty, short or off")
    add("-q", "--quiet", action="store_true", help="print only what is asked for, and errors")
    add("--no-legend", dest="legend", action="store_false", help="print no column heads")
    add("--no-pager", dest="pager", action="store_false", help="use no pager for long output")
    add("--no-ask-password", dest="ask_password", action="store_false", help="never ask for a password")
    parser = argparse.ArgumentParser(
        prog="mlvpnctl",
        description="See and control MLVPN tunnels.",
        epilog="Without a verb: list. See mlvpnctl(1).",
        parents=[options],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mlvpnctl {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", prog="mlvpnctl")
    for word, (words, add_arguments) in _VERBS.items():
        if only in ("", word):
            add_arguments(verbs.add_parser(word, help=words, description=words, parents=[options], allow_abbrev=False))
    return parser


def _add_nothing(verb: argparse.ArgumentParser) -> None:
    """For verbs without arguments."""


def _add_tunnel(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("tunnel", metavar="TUNNEL")


def _add_any_tunnel(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("tunnel", metavar="TUNNEL", nargs="?")


def _add_any_tunnels(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("tunnels", metavar="TUNNEL", nargs="*")


def _add_tunnels(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("tunnels", metavar="TUNNEL", nargs="+")


def _add_show(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", metavar="TUNNEL[/LINK]")
    verb.add_argument(
        "-p", "--property", metavar="NAME", action="append", help="show only these properties, separated by commas"
    )
    verb.add_argument("--value", action="store_true", help="show the values without the names")


def _add_link(verb: argparse.ArgumentParser) -> None:
    _add_tunnel(verb)
    verb.add_argument("link", metavar="LINK")
    verb.add_argument("action", metavar="enable|disable|reconnect", choices=("enable", "disable", "reconnect"))


def _add_bandwidth(verb: argparse.ArgumentParser) -> None:
    _add_tunnel(verb)
    verb.add_argument("link", metavar="LINK")
    verb.add_argument("bytes", metavar="BYTES", help="bytes per second, as 2500000; or bits, as 20Mbit")


def _add_log_level(verb: argparse.ArgumentParser) -> None:
    _add_tunnel(verb)
    verb.add_argument("level", metavar="LEVEL", nargs="?", choices=LOG_LEVELS, help=", ".join(LOG_LEVELS))


def _add_log(verb: argparse.ArgumentParser) -> None:
    _add_tunnel(verb)
    verb.add_argument("link", metavar="LINK", nargs="?", help="show only the lines about this link")
    verb.add_argument("-f", "--follow", action="store_true", help="go on with new lines")
    verb.add_argument("-n", "--lines", metavar="N", type=_count, help="show only the last N lines")


def _add_files(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("files", metavar="FILE", nargs="+")


def _add_top(verb: argparse.ArgumentParser) -> None:
    _add_any_tunnels(verb)
    verb.add_argument(
        "-d", "--delay", metavar="SECONDS", type=_delay, default=1.0, help="seconds between readings (%(default)g)"
    )
    verb.add_argument("-n", "--samples", metavar="N", type=_count, help="print N readings instead of a screen")
    verb.add_argument("--once", dest="samples", action="store_const", const=1, help="the same as -n 1")


def _add_doctor(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "tunnel", metavar="TUNNEL", nargs="?", help="only this tunnel, or the path of a configuration file"
    )


_VERBS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "list": ("One line for each tunnel, running or not.", _add_nothing),
    "status": ("All about tunnels and their links.", _add_any_tunnels),
    "links": ("One line for each link.", _add_any_tunnel),
    "show": ("Properties of a tunnel or a link, as KEY=value.", _add_show),
    "monitor": ("One line for each event, until interrupted.", _add_any_tunnels),
    "reload": ("Read configuration files again.", _add_tunnels),
    "link": ("Enable, disable or reconnect a link.", _add_link),
    "bandwidth": ("Set a link's upload bandwidth, until the next reload.", _add_bandwidth),
    "forget": ("Forget what outlasts a stop: disabled links, addresses, counters.", _add_any_tunnel),
    "log-level": ("Print or set the lowest level that a tunnel logs.", _add_log_level),
    "log": ("The tunnel's lines in the journal.", _add_log),
    "check-config": ("Check configuration files.", _add_files),
    "top": ("A live screen of links.", _add_top),
    "doctor": ("Look for what is wrong with this host and its tunnels.", _add_doctor),
}


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _delay(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 3600")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
