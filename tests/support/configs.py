"""Configuration files for tests: short ones to vary, and one in the shape of upstream's documentation."""

from __future__ import annotations

from mlvpnd.config import ConfigError, ParseResult, parse

CLIENT = """\
[general]
mode = "client"
password = "pleasechangeme!"

[adsl1]
remotehost = "203.0.113.1"
remoteport = 5080
"""

SERVER = """\
[general]
mode = "server"
password = "pleasechangeme!"

[adsl1]
bindport = 5080
"""

DOCUMENTED_CLIENT = """\
# Everything that upstream's manual names, in its spelling
[general]
statuscommand = "/etc/mlvpn/mlvpn0_updown.sh"
tuntap = "tun"
mode = "client"
interface_name = "mlvpn0"
timeout = 30
password = "pleasechangeme!"
reorder_buffer_size = 64
loss_tolerence = 50
latency_tolerence = 300
cleartext_data = 0
mtu = 1400
ip4 = "10.42.42.2/30"
ip6 = "fd00:42::2/64"
ip4_gateway = "10.42.42.1"
ip6_gateway = "fd00:42::1"
ip4_routes = "10.43.0.0/16 10.44.0.0/16"
ip6_routes = "fd00:43::/64 fd00:44::/64"
control_unix_path = "mlvpn.sock"
control_bind_host = "127.0.0.1"
control_bind_port = 1040

[filters]
adsl2 = "udp port 5060"
adsl2 = "udp portrange 10000-20000"

[adsl1]
bindhost = "192.168.1.2"
bindport = 5080
bindfib = 0
remotehost = "203.0.113.1"
remoteport = 5080
bandwidth_upload = 61440

[adsl2]
bindhost = "192.168.2.2"
remotehost = "203.0.113.1"
remoteport = 5081
bandwidth_upload = 51200
timeout = 25
loss_tolerence = 15
latency_tolerence = 200
fallback_only = 1
"""


def good(text: str, *, strict: bool = False) -> ParseResult:
    """The result of `parse` for the text."""
    return parse(text.encode("latin-1"), "f", strict=strict)


def warnings_of(text: str) -> list[str]:
    """The warnings of a usable text."""
    return [str(problem) for problem in good(text).warnings]


def errors_of(text: str, *, strict: bool = False) -> list[str]:
    """The errors of an unusable text; none: the text is usable."""
    try:
        good(text, strict=strict)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []
