"""The verbs of `mlvpnctl`; each returns the exit code or raises `CtlError`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mlvpnd.base.bandwidth import ALLOWED, MAX_BANDWIDTH, parse_rate
from mlvpnd.base.bandwidth import remark as rate_remark
from mlvpnd.bus import names

from . import host, private_socket, render
from .errors import DONE, CtlError, NotFound, NotRunning, TunnelGone, Unreachable, Unsupported, UsageError
from .model import TunnelView, View
from .output import Output
from .source import Source

if TYPE_CHECKING:
    import argparse
    import contextlib

    from .client import SystemBus


class Context(NamedTuple):
    """The things that every verb works with."""

    bus: SystemBus
    source: Source
    output: Output
    ask_password: bool = True
    """Whether somebody may be asked for a password."""


T = TypeVar("T")
Verb = Callable[[Context, "argparse.Namespace"], int]


def password_agent(context: Context) -> contextlib.AbstractContextManager[None]:
    """See `agent`."""
    from . import agent

    return agent.password_agent(wanted=context.ask_password)


def complain(text: str) -> None:
    """Writes what is wrong to standard error."""
    print(text, file=sys.stderr)


def list_tunnels(context: Context, _arguments: argparse.Namespace) -> int:
    """`list`: one line for each tunnel, running or not."""
    output, (tunnels, unseen) = context.output, context.source.listed()
    if output.as_json:
        output.json([{key: value for key, value in view.properties.items() if key != "Links"} for view in tunnels])
    elif tunnels:
        output.page(render.list_lines(tunnels, output, _now()))
    elif output.options.legend and not output.options.quiet:
        complain("there is no tunnel")
    if not output.options.quiet and not output.as_json:
        for view in tunnels:
            if view.text("State") in ("restarting", "failed"):
                advice = f"see 'mlvpnctl status {view.name}'"
                complain(f"{view.name}: {'; '.join(filter(None, [view.text('Reason'), advice]))}")
    if unseen and not output.options.quiet:
        complain(unseen)
    return DONE


def status(context: Context, arguments: argparse.Namespace) -> int:
    """`status [TUNNEL…]`: everything about the named tunnels, or about all."""
    output, source, result, unseen = context.output, context.source, DONE, ""
    found: list[TunnelView] = []
    wanted = arguments.tunnels
    if not wanted:
        views, unseen = source.listed()
        wanted = [view.name for view in views]
    if unseen and not output.options.quiet:
        complain(unseen)
    for name in wanted:
        try:
            view = source.full(name)
        except CtlError as error:
            silent = source.silent(name) if isinstance(error, NotRunning) else None
            if silent is not None:
                found.append(_with_host(silent))
            if arguments.tunnels or silent is None:
                state = silent.text("State") if silent is not None else "stopped"
                complain(f"mlvpnctl: {error if state == 'stopped' else f'{name}: not running, but {state}'}")
                result = result or error.exit_code
        else:
            found.append(_with_host(view))
    if output.as_json:
        output.json([view.to_json() for view in found])
        return result
    now = _now()
    blocks = [render.status_lines(view, output, now) for view in found]
    output.page([line for block in blocks for line in ([*block, ""] if block is not blocks[-1] else block)])
    if not output.options.quiet:
        if not found and not arguments.tunnels:
            complain("there is no tunnel")
        if found and os.geteuid() and not any(view.properties["Log"] for view in found):
            complain("the journal shows nothing to this user: it is for root and the groups adm and systemd-journal")
    return result


def _now() -> render.Now:
    return render.Now(time.time(), time.monotonic())


def _with_host(view: TunnelView) -> TunnelView:
    """The view, also with what the host tells of the tunnel."""
    interface = view.text("Interface")
    told: dict[str, object] = {"Log": host.last_lines(view.name, host.LINES if interface else host.MORE_LINES)}
    if interface:
        told |= {"Addresses": host.addresses(interface), "Routes": host.routes(interface)}
    return TunnelView(view.name, {**view.properties, **told}, view.links)


def links(context: Context, arguments: argparse.Namespace) -> int:
    """`links [TUNNEL]`: one line for each link of the named tunnel, or of all."""
    output, name = context.output, arguments.tunnel
    tunnels = [context.source.one(name)] if name else context.source.all()
    if output.as_json:
        output.json([{"Tunnel": view.name, **_without(link, "Tunnel")} for view in tunnels for link in view.links])
    else:
        output.page(render.link_lines(tunnels, output, _now(), named=not name))
    return DONE


def show(context: Context, arguments: argparse.Namespace) -> int:
    """`show TUNNEL[/LINK]`: properties as KEY=value, or JSON."""
    view: View = context.source.one(arguments.what.partition("/")[0])
    if "/" in arguments.what:
        view = _link_of(view, arguments.what.partition("/")[2])
    wanted = [name for group in arguments.property or () for name in group.split(",") if name]
    for name in wanted:
        if name not in view.properties:
            raise CtlError(f"{arguments.what}: there is no property {name}")
    properties = {name: view.properties[name] for name in wanted} if wanted else dict(view.properties)
    if context.output.as_json:
        context.output.json(properties)
        return DONE
    lines = [
        render.value_text(value) if arguments.value else f"{name}={render.value_text(value)}"
        for name, value in properties.items()
    ]
    context.output.page(lines)
    return DONE


def monitor(context: Context, arguments: argparse.Namespace) -> int:
    """`monitor [TUNNEL…]`: one line for each event, until interrupted."""
    from .monitor import Monitor
    from .monitor import show as show_event

    for name in arguments.tunnels:
        context.source.check_name(name)
    watching = Monitor(context.bus, arguments.tunnels)
    watching.start()
    while True:
        show_event(watching.next(), context.output)


def reload(context: Context, arguments: argparse.Namespace) -> int:
    """`reload TUNNEL…`: has the files read again, waits, and tells what is wrong with them."""
    result = DONE
    with password_agent(context):
        for name in arguments.tunnels:
            try:
                context.source.check_name(name)
                warnings = _reload(context, name)
                for line in () if context.output.options.quiet else warnings:
                    complain(f"{name}: warning: {line}")
            except CtlError as error:
                result = result or error.exit_code
                for line in str(error).splitlines():
                    complain(f"{name}: {line.removeprefix(f'{name}: ')}")
            else:
                context.output.remark(f"{name}: reloaded")
    return result


def _reload(context: Context, name: str) -> list[str]:
    """Returns warnings about the file."""
    where = names.tunnel_name(name), names.tunnel_path(name), names.TUNNEL_INTERFACE

    def on_bus() -> list[str]:
        try:
            (warnings,) = context.bus.call(*where, "ReloadWithWarnings")
        except Unsupported:  # by a daemon of version 0.1.0
            context.bus.call(*where, "Reload")
            return []
        return [str(one) for one in warnings] if isinstance(warnings, list) else []

    return _either_way(context, name, on_bus, private_socket.ask_reload)


def _either_way(context: Context, name: str, on_bus: Callable[[], T], on_socket: Callable[[str], T]) -> T:
    """Asks a tunnel on the bus or, if it is not there, at its private socket, by the socket's path."""
    reason: CtlError
    try:
        return on_bus()
    except TunnelGone:
        reason = context.source.absent(name)
    except Unreachable as error:
        reason = error
    try:
        return on_socket(context.source.socket_path(name))
    except Unreachable:
        raise (context.source.absent(name) if isinstance(reason, Unreachable) else reason) from None


def forget(context: Context, arguments: argparse.Namespace) -> int:
    """`forget [TUNNEL]`: has the tunnel, or all that run, forget what outlasts a stop."""
    wanted = [arguments.tunnel] if arguments.tunnel else [view.name for view in context.source.all()]
    with password_agent(context):
        for name in wanted:
            context.source.check_name(name)
            where = names.tunnel_name(name), names.tunnel_path(name), names.TUNNEL_INTERFACE

            def on_bus(where: tuple[str, str, str] = where) -> None:
                context.bus.call(*where, "Forget")

            _either_way(context, name, on_bus, private_socket.ask_forget)
            context.output.remark(f"{name}: all links are enabled, counters begin at 0, and addresses are forgotten")
    return DONE


def link(context: Context, arguments: argparse.Namespace) -> int:
    """`link TUNNEL LINK enable|disable|reconnect`."""
    bus_name, path = _find_link(context, arguments.tunnel, arguments.link)
    with password_agent(context):
        if arguments.action == "reconnect":
            context.bus.call(bus_name, path, names.LINK_INTERFACE, "Reconnect")
        else:
            enabled = arguments.action == "enable"
            context.bus.set(bus_name, path, names.LINK_INTERFACE, "Enabled", "b", enabled)
    done = {
        "reconnect": "reconnecting",
        "enable": "enabled",
        "disable": "disabled until it is enabled again",
    }
    context.output.remark(f"{arguments.tunnel}: {arguments.link}: {done[arguments.action]}")
    return DONE


def bandwidth(context: Context, arguments: argparse.Namespace) -> int:
    """`bandwidth TUNNEL LINK BYTES`: a link's weight, until the next reload."""
    amount = parse_bandwidth(arguments.bytes)
    bus_name, path = _find_link(context, arguments.tunnel, arguments.link)
    with password_agent(context):
        context.bus.set(bus_name, path, names.LINK_INTERFACE, "BandwidthUpload", "t", amount)
    context.output.remark(
        f"{arguments.tunnel}: {arguments.link}: {render.bandwidth_text(amount)} until the next reload"
    )
    if odd := rate_remark(amount, arguments.bytes):
        print(f"{arguments.tunnel}: {arguments.link}: {odd}", file=sys.stderr)
    return DONE


def log_level(context: Context, arguments: argparse.Namespace) -> int:
    """`log-level TUNNEL [LEVEL]`: prints or sets the level."""
    context.source.check_name(arguments.tunnel)
    where = names.tunnel_name(arguments.tunnel), names.LOG_CONTROL_PATH, names.LOG_CONTROL_INTERFACE, "LogLevel"
    try:
        if arguments.level is None:
            level = context.bus.get(*where)
            if context.output.as_json:
                context.output.json({"Tunnel": arguments.tunnel, "LogLevel": level})
            else:
                context.output.line(render.value_text(level))
        else:
            with password_agent(context):
                context.bus.set(*where, "s", arguments.level)
            context.output.remark(f"{arguments.tunnel}: logs from level {arguments.level}")
    except TunnelGone:
        raise context.source.absent(arguments.tunnel) from None
    return DONE


def check_config(_context: Context, arguments: argparse.Namespace) -> int:
    """`check-config FILE…`: as `mlvpnd check-config`."""
    from mlvpnd.ctl import check_config as checker

    return checker.main(["--", *arguments.files])


def log(context: Context, arguments: argparse.Namespace) -> int:
    """`log TUNNEL [LINK]`: becomes journalctl with the right arguments."""
    context.source.check_name(arguments.tunnel)
    command = ["journalctl", "--unit", host.unit_of(arguments.tunnel)]
    command += [f"MLVPN_LINK={arguments.link}"] if arguments.link else []
    command += ["--follow"] if arguments.follow else []
    command += [f"--lines={arguments.lines}"] if arguments.lines is not None else []
    command += [] if context.output.options.pager else ["--no-pager"]
    command += {"pretty": ["--output=json-pretty"], "short": ["--output=json"]}.get(context.output.options.json, [])
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise CtlError(f"{command[0]}: {error.strerror}") from None


def parse_bandwidth(text: str) -> int:
    """Parses a rate; see `parse_rate`. Raises UsageError."""
    amount = parse_rate(text)
    if amount is None:
        raise UsageError(f"{text!r} is not a bandwidth; allowed: {ALLOWED}")
    if amount > MAX_BANDWIDTH:
        raise UsageError(f"{text} is too large: at most {MAX_BANDWIDTH} bytes per second")
    return amount


def _find_link(context: Context, tunnel: str, name: str) -> tuple[str, str]:
    """Bus name and path of a link."""
    context.source.check_name(tunnel)
    bus_name = names.tunnel_name(tunnel)
    try:
        (path,) = context.bus.call(bus_name, names.tunnel_path(tunnel), names.TUNNEL_INTERFACE, "GetLink", "s", name)
    except TunnelGone:
        raise context.source.absent(tunnel) from None
    except NotFound:
        raise NotFound(f"{tunnel}: there is no link {name!r}") from None
    return bus_name, str(path)


def _link_of(view: View, name: str) -> View:
    found = view.link(name) if isinstance(view, TunnelView) else None
    if found is None:
        raise NotFound(f"{view.name}: there is no link {name!r}")
    return found


def _without(view: View, key: str) -> dict[str, object]:
    return {name: value for name, value in view.properties.items() if name != key}
