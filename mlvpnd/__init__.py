"""mlvpnd, a multi-link VPN: one tunnel carried over several internet lines at once.

`protocol/` speaks the wire format, and touches no socket and no clock. `net/` holds the edges: TUN and UDP. `tunnel/`
joins the two, `daemon/` is the life of the process, and `helper/` is the little that runs as root. `config/` reads
`mlvpn.conf`. ARCHITECTURE.md tells it in order.
"""

__version__ = "0.2.0"
