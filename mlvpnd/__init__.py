"""mlvpnd, a multi-link VPN: one tunnel carried over several internet lines at once.

`protocol/` speaks the wire format and touches no socket and no clock; `net/` holds the TUN and
UDP edges; `tunnel.py` joins the two; `daemon.py` is the life of the process; `helper/` is the
little that runs as root; `config/` reads `mlvpn.conf`. ARCHITECTURE.md tells it in order.
"""

__version__ = "0.2.0"
