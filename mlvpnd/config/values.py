"""Checks single values: text to number as C reads it, and what is wrong with a text (empty: nothing)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from .problems import shown
from .schema import MAX_DEVICE_NAME_LENGTH, MAX_HOST_LENGTH, UINT32_MAX

Say = Callable[[str], str]
"""Returns what a message may show of a piece of a text."""

_NUMBER = re.compile(r"[ \t\v\f]*([+-]?)([0-9]*)(.*)", re.DOTALL)
_MOST_DIGITS = 10
"""Digits of an unsigned 32-bit number. Longer ones are not converted: that would take quadratic time."""
_SERVICE_NAME = re.compile(r"[A-Za-z0-9._+-]{1,255}")


def read_number(text: str, *, say: Say = shown) -> tuple[int, str]:
    """The unsigned 32-bit value that C's atoi makes of `text`, and what is odd about it (empty: nothing).

    Unlike with atoi, a number that is too large becomes the largest one, not an arbitrary one.
    """
    match = _NUMBER.fullmatch(text)
    sign, digits, rest = match.groups() if match else ("", "", text)
    if not digits:
        return 0, f"'{say(text)}' is not a number and is read as 0"
    digits = digits.lstrip("0") or "0"
    value = int(digits) if len(digits) <= _MOST_DIGITS else UINT32_MAX + 1
    remarks = []
    if sign == "-" and value:
        value = UINT32_MAX + 1 - min(value, 2**31)
        remarks.append("negative numbers wrap around")
    elif value > UINT32_MAX:
        value = UINT32_MAX
        remarks.append("the number is too large")
    if rest:
        remarks.append(f"'{say(rest)}' after the number is ignored")
    return value, f"{' and '.join(remarks)}: read as {value}" if remarks else ""


def port_problem(text: str, *, say: Say = shown) -> str:
    """Why `text` is no UDP or TCP port."""
    unsigned = text.lstrip("+-")
    if unsigned.isdigit():
        digits = unsigned.lstrip("0")
        if unsigned != text or len(digits) > 5 or not 1 <= int(digits or "0") <= 65535:
            return f"'{say(text)}' is outside 1..65535"
        return ""
    return "" if _SERVICE_NAME.fullmatch(text) else f"'{say(text)}' is neither a port number nor a service name"


def host_problem(text: str, *, say: Say = shown) -> str:
    """Why `text` is no host name or address. Names are not looked up."""
    if len(text) > MAX_HOST_LENGTH:
        return f"the value is too long: {len(text)} characters, at most {MAX_HOST_LENGTH}"
    if not text.isprintable() or " " in text:
        return f"'{say(text)}' has white space or control characters"
    return ""


def device_problem(text: str, *, pattern: bool, say: Say = shown) -> str:
    """Why `text` names no network interface; with `pattern`, one `%d` may stand for a number."""
    if len(text) > MAX_DEVICE_NAME_LENGTH:
        return f"'{say(text)}' is too long: {len(text)} characters, at most {MAX_DEVICE_NAME_LENGTH}"
    if text in (".", "..") or not text.isprintable() or any(c in text for c in "/: "):
        return f"'{say(text)}' is not an interface name"
    if pattern and "%" in text.replace("%d", "", 1):
        return f"'{say(text)}' has a '%' outside the one %d"
    return ""


def address_problem(text: str, version: int, *, prefix: bool, say: Say = shown) -> str:
    """Why `text` is no address of that IP version, with its prefix length if `prefix`."""
    address, slash, length = text.partition("/")
    try:
        if bool(slash) is prefix and "%" not in text and (length.isdigit() or not prefix):
            parsed = ipaddress.ip_interface(text)
            if parsed.version == version:
                return ""
    except ValueError:
        pass
    what = f"IPv{version} address/prefix" if prefix else f"IPv{version} address"
    return f"'{say(text)}' is not an {what}"


def routes_problem(text: str, version: int, *, say: Say = shown) -> str:
    """Why one of the words of `text` is no network of that IP version."""
    for word in text.split():
        _, slash, length = word.partition("/")
        if slash and not length.isdigit():
            return f"'{say(word)}' is not an IPv{version} network"
        try:
            network = ipaddress.ip_network(word, strict=False)
        except ValueError:
            return f"'{say(word)}' is not an IPv{version} network"
        if network.version != version:
            return f"'{say(word)}' is not an IPv{version} network"
        if slash and ipaddress.ip_interface(word).ip != network.network_address:
            return f"'{say(word)}' has bits beyond its prefix: the network is {say(str(network))}"
    return ""


def is_default(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether a route to `network` is a default route: for all addresses, or for one half of them."""
    return network.prefixlen <= 1


def has_default_route(text: str) -> bool:
    """Whether one of the words of `text` is a default route. Other words may be anything."""
    for word in text.split():
        try:
            if word == "default" or is_default(ipaddress.ip_network(word, strict=False)):
                return True
        except ValueError:
            continue
    return False


def ip_version(text: str) -> int:
    """4 or 6 for an address of that version; 0 for all else. An IPv4 address in IPv6 is one of IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0
    return 4 if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped else address.version


def endpoint(host: str, port: str) -> tuple[str, str]:
    """A key that is equal for two spellings of one address and port. No host: any address. Case does not count."""
    try:
        address = str(ipaddress.ip_address(host or "0.0.0.0"))  # noqa: S104 - compared, not bound
    except ValueError:
        address = host.lower()
    return address, port.lstrip("0") if port.isdigit() else port
