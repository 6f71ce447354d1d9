"""The numbers of protocol v1.

C MLVPN puts the *specification constants* on the wire and expects them there: to change one breaks interoperation.
The *implementation constants* are ours to choose; each gives the reason for its value.
"""

from __future__ import annotations

# Specification constants

VERSION = 1
HEADER_SIZE = 28
MAC_SIZE = 16
"""Bytes of the secretbox's Poly1305 tag, in front of the ciphertext."""
NO_TIMESTAMP = 0xFFFF
"""In `timestamp_reply`: nothing to echo. Never sent as a stamp of our own."""
ECHO_LIMIT_MS = 1000
"""Milliseconds; a peer's stamp that we have held for so long is not echoed."""
RTT_LIMIT_MS = 5000
"""Milliseconds; a sample from here on is an accident of the 16-bit stamps, not a round trip."""
AUTH_INTERVAL = 1.0
"""Seconds between the AUTHs of a client that has no answer."""
KEEPALIVE_INTERVAL = 1.0
"""Seconds between KEEPALIVEs; an upstream peer counts nothing else as a sign of life."""
AUTH_PLAINTEXT = b"AU"
AUTH_OK_PLAINTEXT = b"OK"

# Implementation constants

REPLAY_WINDOW_SIZE = 2048
"""Sequence numbers of a flow, up to its newest, that may still arrive; a link at 1 Gbit/s reorders less."""
MAX_FLOWS = 1024
"""Peer flows that the whole process remembers. A flow takes 300 bytes; a peer's restart makes one per link."""
CLEAR_WINDOW_SIZE = 1 << 17
"""Sequence numbers, from `REPLAY_WINDOW_SIZE` behind the newest authentic one on, in which clear DATA is taken. It is a
second at 130 000 packets/s."""
ANSWER_INTERVAL = 0.9
"""Seconds between KEEPALIVEs that answer the peer's. Its stamp comes back fresh, and two answering peers do not play
ping-pong. A peer that probes quickly gets more answers."""
DISCONNECT_INTERVAL = 1.0
"""Seconds between DISCONNECTs to a peer whose session we do not know."""
SILENCE = 2.5
"""Seconds of silence (two KEEPALIVEs) after which an up link may be a dead session, so strangers are answered."""
STANDSTILL = 1.0
"""Seconds that the timer is late, at least, where the process was stopped or the machine slept."""
RECLAIM_GRACE = 1.0
"""Seconds for which packets of a displaced flow may be stragglers of a peer that has restarted. A flow that still
speaks later is alive, and a replay has displaced it."""
WAIT_INTERVAL = 0.1
"""Seconds between updates of the reorder buffer's wait from the links' delays."""
PROBE_INTERVAL = 0.1
"""Seconds without a packet after which a paced link says KEEPALIVE, while the tunnel carries data. The far end hears
that the line lives. It costs 7 kbit/s."""
JUDGE_INTERVAL = 0.1
"""Seconds between two judgements of a link, at least."""
EXCLUDED_PROBE_INTERVAL = 0.02
"""Seconds without a packet after which a lossy or slow link says KEEPALIVE. The far end has 125 packets to judge by in
the 2.5 s over which loss is counted. It costs 29 kbit/s."""
TRIAL_TIME = 2.5
"""Seconds that a link which has come up is probed as quickly as a lossy one, and may be on trial. So it shows its loss
before it is full."""
PROBE_TIME = 60.0
"""Seconds that a lossy or slow link is probed quickly although nothing uses the tunnel. Then one KEEPALIVE a second
must do, as on any link. Quick probes cost a metered line 0.3 GB a day, and the link clears in 3 s once the tunnel is
used."""
QUICK_GAP = 0.06
"""Seconds between two KEEPALIVEs below which the peer probes quickly, though some are lost; less than
`PROBE_INTERVAL`."""
ACTIVE = 1.0
"""Seconds after its last packet for which a tunnel counts as carrying data."""
LEAST_PATIENCE = 0.4
"""Seconds of silence, at least, after which a link is distrusted: four probes did not come."""
OTHERS_HEARD = 0.25
"""Seconds in which another link must have been heard before one is distrusted: the peer itself is not silent."""
AUTH_GRACE = 0.05
"""Seconds after AUTH on an up link in which the peer must say something else, or the link is down. It has longer if it
has echoed a stamp lately. A peer that is up, and asks because it took a hint, says KEEPALIVE in the same burst. Only a
modem may tear the burst apart."""
LEAST_UNECHOED = 3
"""Packets in a row that must come without an echo of our stamps before it means anything. C MLVPN sends one packet in
1 to 2 s."""
UNECHOED_ACTIVE = 8
"""`LEAST_UNECHOED` for a link that is only distrusted for it, while both ends send ten packets a second. With 20 % loss
each way, all these fail less than once in thousands of times."""
LEAST_UNECHOED_TIME = 1.5
"""Seconds without an echo, at least, after which a link is probed quickly. KEEPALIVEs bring one echo a second, those of
C MLVPN one in two seconds."""
UNHEARD_AUTHS = 3
"""AUTHs of a client in a row, one a second, after which the log says that our answers do not arrive. So many answers
are not lost by chance."""
UNANSWERED_AUTHS = 5
"""AUTHs without an answer after which the driver is told to try another address."""
MAX_DATAGRAM_SIZE = 65507
"""Bytes of the largest UDP payload over IPv4."""
