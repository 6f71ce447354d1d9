"""Reads and checks link sections, singly and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlvpnd.base.printable import TITLE_NAME_LENGTH

from . import values
from .model import Config, LinkConfig, Mode
from .problems import Report
from .reader import SectionReader
from .schema import LINK_KEYS, MAX_LINKS

PORT_ADVICE = "a router may keep an old entry for a fixed port, and then no answer arrives"
"""Why a client's socket is not bound to a fixed port: a free one is new to the router after each time-out."""


def read_link(section: SectionReader, general: Config | None, report: Report) -> LinkConfig:
    """The section's values, with defaults from `general`; errors are reported."""
    _check_name(section, report)
    defaults = general or LinkConfig("")
    given = {key.field: section.value(key) for key in LINK_KEYS}
    made = {name: getattr(defaults, name) if value is None else value for name, value in given.items()}
    return LinkConfig(name=section.name, line=section.line, **made)


def check_hosts(section: SectionReader, link: LinkConfig) -> None:
    """Reports what looks like an address, and is looked up in vain."""
    for name, host, port in (("bindhost", link.bindhost, "bindport"), ("remotehost", link.remotehost, "remoteport")):
        address, colon, number = host.partition(":")
        if host.startswith("["):
            section.lax(name, f"'{section.say(name, host)}' has brackets: write the address without them")
        elif colon and number.isdigit() and address:
            section.lax(name, f"'{section.say(name, host)}' has a port: write the port into {port}")
    versions = values.ip_version(link.bindhost), values.ip_version(link.remotehost)
    if all(versions) and len({*versions}) > 1:
        text = f"is an IPv{versions[0]} address, and remotehost is an IPv{versions[1]} address: no packet can leave"
        section.lax("bindhost", f"'{section.say('bindhost', link.bindhost)}' {text}")


def check_mode(section: SectionReader, link: LinkConfig, mode: Mode) -> None:
    """Reports what a server's link lacks to wait for the peer, or a client's to call it."""
    if mode is Mode.SERVER:
        if not link.bindport:
            section.error("bindport", f"[{section.label}] bind port is mandatory in server mode.")
        return
    if not link.remotehost:
        section.error("remotehost", f"[{section.label}] No remote address specified.")
    if link.bindport:
        section.advise("bindport", f"[{section.label}] a client should leave bindport out: {PORT_ADVICE}")
    if not link.remoteport:
        section.error("remoteport", f"[{section.label}] No remote port specified.")
    own = values.endpoint(link.bindhost, link.bindport)
    if link.bindhost and link.bindport and values.endpoint(link.remotehost, link.remoteport) == own:
        section.error("remotehost", f"[{section.label}] would talk to itself: remote and bind address are the same")


def check_together(links: Sequence[LinkConfig], mode: Mode | None, report: Report, labels: Mapping[str, str]) -> None:
    """Reports what is wrong with the links together; `labels` are their names as messages may show them."""
    if not links and not report.failed:
        report.advise(0, "", "there is no link: the tunnel carries nothing")
    if len(links) > MAX_LINKS:
        report.error(
            links[MAX_LINKS].line, "", f"You have too many tunnels declared: {len(links)} links, at most {MAX_LINKS}"
        )
    if any(link.bandwidth_upload for link in links):
        for link in links:
            if not link.bandwidth_upload:
                message = f"you must set the bandwidth on every tunnel: [{labels[link.name]}] has none"
                report.advise(link.line, "bandwidth_upload", message)
    if mode is Mode.SERVER:
        _check_bound_once(links, report, labels)
    elif mode is Mode.CLIENT:
        _check_called_once(links, report, labels)


def _check_called_once(links: Sequence[LinkConfig], report: Report, labels: Mapping[str, str]) -> None:
    called: dict[tuple[str, str], LinkConfig] = {}
    for link in links:
        other = called.setdefault(values.endpoint(link.remotehost, link.remoteport), link)
        if other is not link and link.remotehost:
            report.advise(
                link.line,
                "remoteport",
                f"[{labels[link.name]}] calls the same address and port as [{labels[other.name]}] in line {other.line}:"
                " a link of the server answers one of them at a time; give each link a port of its own at both ends",
            )


def _check_bound_once(links: Sequence[LinkConfig], report: Report, labels: Mapping[str, str]) -> None:
    # Sockets bound to different devices may share an address; a socket bound to none conflicts with all.
    bound: dict[tuple[str, str], dict[str, LinkConfig]] = {}
    for link in links:
        if not link.bindport:
            continue
        others = bound.setdefault(values.endpoint(link.bindhost, link.bindport), {})
        other = others.get(link.binddevice) or (
            others.get("") if link.binddevice else next(iter(others.values()), None)
        )
        if other is not None:
            report.error(
                link.line,
                "bindport",
                f"[{labels[link.name]}] has the same bind address and port as [{labels[other.name]}] in line"
                f" {other.line}; allowed: another address or port for each link",
            )
        others.setdefault(link.binddevice, link)


def _check_name(section: SectionReader, report: Report) -> None:
    name = section.name
    if not name or not name.isprintable():
        what = f"[{section.label}] has control characters or is not UTF-8" if name else "[] is empty"
        report.error(section.line, "", f"the link's name {what}; allowed: printable text")
    elif len(name) > TITLE_NAME_LENGTH:
        report.advise(
            section.line,
            "",
            f"the link's name [{section.label}] is long: process titles show {TITLE_NAME_LENGTH} characters of it",
        )
    elif name != name.strip():
        report.advise(section.line, "", f"the spaces around the link's name [{section.label}] are a part of it")
