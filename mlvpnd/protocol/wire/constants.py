"""Numbers of protocol v1.

*Specification constants* are what C MLVPN puts on the wire and expects there; changing one breaks
interoperation. *Implementation constants* are ours to choose; each says why it is what it is.
"""

from __future__ import annotations

# Specification constants

VERSION = 1
HEADER_SIZE = 28
MAC_SIZE = 16
"""Poly1305 tag of the secretbox, in front of the ciphertext."""
NO_TIMESTAMP = 0xFFFF
"""In `timestamp_reply`: nothing to echo. Never sent as a stamp of our own."""
ECHO_LIMIT_MS = 1000
"""A stamp older than this is not echoed."""
RTT_LIMIT_MS = 5000
"""A sample from here on is an accident of the 16-bit stamps, not a round trip."""
AUTH_INTERVAL = 1.0
"""Seconds between the AUTHs of a client that has no answer."""
KEEPALIVE_INTERVAL = 1.0
"""Seconds between KEEPALIVEs: an upstream peer counts nothing else as a sign of life."""
AUTH_PLAINTEXT = b"AU"
AUTH_OK_PLAINTEXT = b"OK"

# Implementation constants

REPLAY_WINDOW_SIZE = 2048
"""Sequence numbers behind the newest that may still arrive, per flow; a link at 1 Gbit/s reorders less."""
MAX_FLOWS = 1024
"""Peer flows remembered in the whole process; a flow is 300 bytes, a peer restart makes one per link."""
CLEAR_WINDOW_SIZE = 1 << 17
"""Sequence numbers ahead of the last authentic one in which clear DATA is taken: a second at 130 000 packets/s."""
ANSWER_INTERVAL = 0.9
"""Seconds between KEEPALIVEs sent in answer to one: the peer's stamp comes back fresh, and two answering
peers do not play ping-pong. A peer that probes quickly gets more."""
DISCONNECT_INTERVAL = 1.0
"""Seconds between DISCONNECTs that tell a peer that we do not know its session."""
SILENCE = 2.5
"""Seconds without a word after which an up link may be a dead session and strangers are answered: two KEEPALIVEs."""
STANDSTILL = 1.0
"""Seconds by which the timer is late when nobody ran: the process was stopped, or the machine slept."""
RECLAIM_GRACE = 1.0
"""Seconds that packets of a displaced flow may be stragglers of a peer that has restarted; a flow that still
speaks after them is alive, and what displaced it was a replay."""
WAIT_INTERVAL = 0.1
"""Seconds between looks at the links' delays for the reorder buffer's wait."""
PROBE_INTERVAL = 0.1
"""Seconds without a packet on a paced link after which a KEEPALIVE goes out while the tunnel carries data: the far end
hears that the line lives. 7 kbit/s."""
JUDGE_INTERVAL = 0.1
"""Seconds between two judgements of a link at least."""
EXCLUDED_PROBE_INTERVAL = 0.02
"""Seconds without a packet on a lossy or slow link after which a KEEPALIVE goes out: in 2.5 s, over which
loss is counted, the far end has 125 packets to judge by. 29 kbit/s."""
TRIAL_TIME = 2.5
"""Seconds that a link which has come up is probed as quickly, so that it shows what it loses before it is full; and
that it may be on trial."""
PROBE_TIME = 60.0
"""Seconds that such a link is probed so quickly though nothing uses the tunnel. Then one KEEPALIVE a second must do, as
on any link: quick probes cost a metered line 0.3 GB a day, and once the tunnel is used it clears in 3 s anyway."""
QUICK_GAP = 0.06
"""Seconds between two KEEPALIVEs of a peer that probes quickly, of which some are lost; less than `PROBE_INTERVAL`."""
ACTIVE = 1.0
"""Seconds that a tunnel counts as carrying data after the last packet."""
LEAST_PATIENCE = 0.4
"""Seconds of silence after which a link is distrusted at the soonest: four probes that did not come."""
OTHERS_HEARD = 0.25
"""Seconds in which another link must have been heard for one to be distrusted: it is not the peer that is silent."""
AUTH_GRACE = 0.05
"""Seconds after the AUTH of a peer whose link is up in which it must say something else, or the link is down, unless
it has echoed a stamp lately. A peer that is up, and asks because it took a hint, says KEEPALIVE in the same burst: only
a modem may tear that apart."""
LEAST_UNECHOED = 3
"""Packets of a peer in a row without an echo of our stamps before that says anything. C MLVPN says one in 1 to 2 s."""
UNECHOED_ACTIVE = 8
"""The same while both ends say ten packets a second, and a link is only left alone for it: with 20 % loss each way all
these fail less than once in thousands of times."""
LEAST_UNECHOED_TIME = 1.5
"""Seconds without an echo, at least, after which a link is probed quickly: KEEPALIVEs bring one a second, or C MLVPN
one in two."""
UNHEARD_AUTHS = 3
"""AUTHs of a client in a row, one a second, after which the log says that our answers do not arrive: none is lost by
chance then."""
UNANSWERED_AUTHS = 5
"""AUTHs without an answer after which the driver is told to try another address."""
MAX_DATAGRAM_SIZE = 65507
"""Largest UDP payload over IPv4."""
