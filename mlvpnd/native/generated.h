/* Written by tools/make_native_constants.py: change the Python module that a part names, then run that. */
#ifndef MLVPND_GENERATED_H
#define MLVPND_GENERATED_H

#include <stddef.h>
#include <stdint.h>

/* mlvpnd/protocol/wire/constants.py */
enum { WIRE_HEADER_SIZE = 28 };
/* Bytes of the secretbox's Poly1305 tag, in front of the ciphertext. */
enum { WIRE_MAC_SIZE = 16 };
enum { WIRE_VERSION = 1 };
/* In `timestamp_reply`: nothing to echo. */
enum { WIRE_NO_TIMESTAMP = 65535 };
/* Bytes of the largest UDP payload over IPv4. */
enum { WIRE_MAX_DATAGRAM_SIZE = 65507 };

/* mlvpnd/protocol/wire/box.py */
enum { WIRE_KEY_SIZE = 32 };

/* mlvpnd/protocol/wire/wire.py */
enum wire_type {
    WIRE_AUTH = 0,
    WIRE_AUTH_OK = 1,
    WIRE_KEEPALIVE = 2,
    WIRE_DATA = 3,
    WIRE_DISCONNECT = 4,
    WIRE_TYPES,
};

/* mlvpnd/protocol/wire/drops.py */
enum drop {
    /* Without a byte, as a probe of the way is. */
    DROP_EMPTY = 0,
    /* Smaller than a header. */
    DROP_SHORT = 1,
    /* The header's length is not that of the datagram. */
    DROP_BAD_LENGTH = 2,
    DROP_BAD_VERSION = 3,
    DROP_UNKNOWN_TYPE = 4,
    /* It carries a flow_id of this process: our own packet, sent back. */
    DROP_REFLECTED = 5,
    /* Its flow belongs to another link. */
    DROP_WRONG_LINK = 6,
    /* Seen before, or too old to know. */
    DROP_REPLAYED = 7,
    /* The box does not open: another password, damage or forgery. */
    DROP_NOT_AUTHENTIC = 8,
    /* Authentic, but not what its type carries: a header changed on the way. */
    DROP_BAD_PLAINTEXT = 9,
    /* Authentic, from a session that this link does not have. */
    DROP_UNKNOWN_FLOW = 10,
    /* Authentic, but the link is down. */
    DROP_NOT_UP = 11,
    /* AUTH or AUTH_OK of a link that came and went too often, and is held down for a moment. */
    DROP_DAMPED = 12,
    /* Authentic, but an operator took the link out of use. */
    DROP_DISABLED = 13,
    /* A control packet that newer packets of its flow have overtaken, or that this end does not wait for. */
    DROP_STALE_CONTROL = 14,
    /* Clear DATA that is not from the peer's current address and flow. */
    DROP_CLEAR_NOT_ALLOWED = 15,
    /* Another copy of a packet that came already: its sender duplicates it. */
    DROP_COPY = 16,
    /* Outgoing, and a rule says drop. */
    DROP_RULE = 17,
    /* Outgoing, while no link is up. */
    DROP_NO_LINK = 18,
    /* Outgoing, more than the links carry: the flow with most in the queue gave up a packet. */
    DROP_QUEUE_FULL = 19,
    /* Outgoing, larger than a datagram carries. */
    DROP_TOO_LONG = 20,
    DROP_REASONS,
};

/* mlvpnd/protocol/wire/inner.py */
enum inner_kind {
    /* Order and throughput. */
    INNER_BULK = 0,
    /* Not TCP, at most `SMALL_SIZE` bytes: to arrive soon. */
    INNER_SMALL = 1,
    /* A TCP segment that acknowledges and does nothing else: to arrive soon, and in order. */
    INNER_ACK = 2,
    /* A TCP segment with a payload, at most `SMALL_SIZE` bytes: a keystroke, or the end of something long. */
    INNER_SHORT = 3,
    INNER_KINDS,
};

/* mlvpnd/protocol/wire/inner.py */
/* Bytes of the longest small IP packet; a voice frame, a DNS question or a move in a game is no longer. */
enum { INNER_SMALL_SIZE = 256 };
/* Bytes of an IP and a TCP header, at most; a longer packet has a payload. */
enum { INNER_LONGEST_TCP_HEADERS = 120 };
enum { INNER_ACK_ONLY = 16 };
enum { INNER_PUSH = 8 };
/* Mask of all TCP flags but those of ECN (RFC 3168), which do not tell what a segment is. */
enum { INNER_FLAGS = 63 };

/* mlvpnd/protocol/wire/constants.py */
/* Sequence numbers of a flow, up to its newest, that may still arrive; a link at 1 Gbit/s reorders less. */
enum { PROTOCOL_REPLAY_WINDOW_SIZE = 2048 };
/* Sequence numbers, from `REPLAY_WINDOW_SIZE` behind the newest authentic one on, in which clear DATA is taken. */
enum { PROTOCOL_CLEAR_WINDOW_SIZE = 131072 };
/* Seconds of silence (two KEEPALIVEs) after which an up link may be a dead session, so strangers are answered. */
static const double PROTOCOL_SILENCE = 2.5;
/* Seconds between the AUTHs of a client that has no answer. */
static const double PROTOCOL_AUTH_INTERVAL = 1.0;
/* Seconds between DISCONNECTs to a peer whose session we do not know. */
static const double PROTOCOL_DISCONNECT_INTERVAL = 1.0;
/* Seconds between KEEPALIVEs that answer the peer's. */
static const double PROTOCOL_ANSWER_INTERVAL = 0.9;
/* Seconds between two KEEPALIVEs below which the peer probes quickly, though some are lost; less than
   `PROBE_INTERVAL`. */
static const double PROTOCOL_QUICK_GAP = 0.06;
/* Seconds for which packets of a displaced flow may be stragglers of a peer that has restarted. */
static const double PROTOCOL_RECLAIM_GRACE = 1.0;
/* Seconds between updates of the reorder buffer's wait from the links' delays. */
static const double PROTOCOL_WAIT_INTERVAL = 0.1;
/* Milliseconds; a peer's stamp that we have held for so long is not echoed. */
enum { PROTOCOL_ECHO_LIMIT_MS = 1000 };
/* Milliseconds; a sample from here on is an accident of the 16-bit stamps, not a round trip. */
enum { PROTOCOL_RTT_LIMIT_MS = 5000 };

/* mlvpnd/protocol/links/path.py */
enum path_status {
    PATH_DISCONNECTED = 0,
    PATH_AUTHSENT = 1,
    PATH_AUTHOK = 2,
    PATH_LOSSY = 3,
    PATH_HIGH_LATENCY = 4,
};

/* mlvpnd/protocol/links/path.py */
/* Weight of a new gap between packets in the smoothed gap. */
static const double PATH_GAP_GAIN = 0.125;

/* mlvpnd/protocol/links/answers.py */
/* Seconds in which nothing else may have left before a quick answer: more than between two probes of our own. */
static const double ANSWERS_QUICK_PAUSE = 0.03;

/* mlvpnd/protocol/receiving/copies.py */
/* Numbers; one so far from the newest shows that the peer has begun anew. */
enum { COPIES_JUMP = 65536 };

/* mlvpnd/protocol/receiving/loss.py */
/* Seconds of packets that are counted together. */
static const double LOSS_BUCKET = 0.1;
/* Seconds that count, at least: a line's loss is remembered for so long. */
static const double LOSS_WINDOW = 2.5;
/* Packets that count, at least, however long ago they were sent: upstream judges by as many. */
enum { LOSS_LEAST = 64 };
/* Numbers; where a peer skips more, its process was replaced, and numbers from the clock. */
enum { LOSS_JUMP = 131072 };

/* mlvpnd/protocol/receiving/receiver.py */
/* Seconds for which a link is waited for after it came up or brought data. */
static const double RECEIVER_DATA_RECENT = 3.0;
/* Seconds to wait, at least, while a link that may bring data has not been measured. */
static const double RECEIVER_UNKNOWN_SPREAD = 0.1;
/* Seconds to wait, at most; a link that is later than this is no help to the others. */
static const double RECEIVER_MAX_WAIT = 0.5;
/* Seconds to wait beyond the spread: stamps are whole milliseconds, and bursts are read link by link. */
static const double RECEIVER_MIN_WAIT = 0.002;
/* Part of the spread to wait beyond it: in a queue that grows, each packet is later than those measured before. */
static const double RECEIVER_GROWTH = 0.125;

/* mlvpnd/protocol/receiving/reorder.py */
/* Numbers; one so far from the expected number shows that the peer has begun anew: no link reorders so far. */
enum { REORDER_JUMP = 65536 };
/* Stragglers and repetitions in a row after which the count is not believed. */
enum { REORDER_STRAYS = 64 };
/* Fate of a number: its packet has left. */
enum { REORDER_DELIVERED = 1 };
/* Fate of a number: its hole was given up. 0: it is from before the count began. */
enum { REORDER_GIVEN_UP = 2 };

/* mlvpnd/protocol/receiving/rtt.py */
static const double RTT_ALPHA = 0.125;
static const double RTT_BETA = 0.25;
/* Milliseconds beyond four deviations from the mean, above which a sample is a jump: radio lines jitter by less. */
static const double RTT_JUMP_MS = 50.0;
/* Milliseconds that status shows before a sample, as upstream does; nothing is judged by them. */
static const double RTT_INITIAL_SRTT_MS = 1000.0;

/* mlvpnd/protocol/receiving/transit.py */
/* Seconds, or up to twice as many, for which the quickest packet is remembered. */
static const double TRANSIT_LOW_SPAN = 5.0;
/* Seconds, or up to twice as many, for which the slowest packet is remembered. */
static const double TRANSIT_HIGH_SPAN = 1.25;
/* Seconds, or up to twice as many, for which a link's packets are waited for after one was overtaken. */
static const double TRANSIT_DISORDER_SPAN = 2.5;
/* Milliseconds by which a transit must rise to be news: stamps are no finer. */
static const double TRANSIT_STEP = 1.0;
/* Milliseconds from one transit to the next, beyond which the change counts only if the packet after says so too. */
static const double TRANSIT_JUMP = 100.0;
/* Milliseconds from one transit to the next by which no line changes: the peer's clock was set. */
static const double TRANSIT_NEW_CLOCK = 5000.0;
/* Gaps in a link's numbers that are remembered; of a packet from an older gap only the least lateness is known. */
enum { TRANSIT_MAX_GAPS = 64 };
static const double TRANSIT_PERIOD = 65536.0;
static const double TRANSIT_HALF = 32768.0;

/* mlvpnd/protocol/sending/sender.py */
/* Bytes around a datagram on the line: Ethernet, IPv4 and UDP headers. */
enum { ENGINE_OUTER_IPV4 = 42 };
enum { ENGINE_OUTER_IPV6 = 62 };
/* Nanoseconds added to a deadline: more than floating-point seconds lose, so a packet is due in integers too. */
enum { ENGINE_ROUNDING = 1000 };

/* mlvpnd/protocol/sending/flow_queue.py */
/* Bytes that a flow may send in a turn: as a rule its largest packet, so that each turn sends one. */
enum { FLOW_QUEUE_QUANTUM = 1514 };
/* Flows that are told apart, by their keys modulo this number. */
enum { FLOW_QUEUE_BUCKETS = 1024 };

/* mlvpnd/protocol/sending/fragments.py */
/* Datagrams whose first fragment is remembered; the next with the same checksum of its name, modulo this, takes
   the place. */
enum { FRAGMENTS_REMEMBERED = 1024 };
/* Seconds that a first fragment is remembered: as long as Linux waits for the last one (net.ipv4.ipfrag_time). */
static const double FRAGMENTS_LIFETIME = 30.0;
/* Bytes of the longest name: two IPv6 addresses and an identification. */
enum { FRAGMENTS_LONGEST_NAME = 36 };
enum { FRAGMENTS_FRAGMENT = 44 };
/* IPv6 extension headers that are looked through, at most; each kind is to come once, destination options twice. */
enum { FRAGMENTS_MOST_HEADERS = 8 };
/* Mask of these bits in the upper byte of IPv4's flags and offset. */
enum { FRAGMENTS_MORE_FRAGMENTS_OR_OFFSET = 63 };
/* Mask of the offset alone in this byte. */
enum { FRAGMENTS_OFFSET = 31 };

/* mlvpnd/protocol/sending/line.py */
enum { LINE_SECOND = 1000000000 };
/* Nanoseconds that a busy line may lag behind its rate and catch up. */
enum { LINE_CREDIT = 8000000 };
/* Nanoseconds of line time that may wait in `express`; packets beyond it queue like everything else. */
enum { LINE_EXPRESS_LIMIT = 20000000 };
/* Nanoseconds of line time that may wait in `own`. */
enum { LINE_OWN_TIME = 100000000 };
/* Bytes that the common queue and `own` may hold, however slow the line. */
enum { LINE_LEAST_LIMIT = 96896 };

/* mlvpnd/protocol/sending/paced.py */
/* Nanoseconds that even the farthest line is committed ahead, so that it has work until the next turn. */
enum { PACED_SLACK = 4000000 };
/* Nanoseconds, at the rate of all lines together, that may wait in the common queue. */
enum { PACED_QUEUE_TIME = 100000000 };
/* Nanoseconds that a packet must arrive later by the lower priority before a higher one takes it. */
enum { PACED_OVERFLOW = 15000000 };
/* Percent of the lines' round trip that a packet must wait before a spare line takes it, see `_patience`. */
enum { PACED_WAIT_SHARE = 50 };
/* Percent of the nearest line's delay, up to which another line counts in the round trip of `WAIT_SHARE`. */
enum { PACED_ALIKE = 150 };
/* Nanoseconds: cap on the wait by `WAIT_SHARE`; it must stay below `QUEUE_TIME`. */
enum { PACED_LONGEST_WAIT = 60000000 };
/* Factor: flows are stretched only where the near lines have at most this many times the far lines' rate. */
enum { PACED_WORTH = 2 };
/* Nanoseconds without a `BULK` packet after which the short segments of a TCP flow go first: someone types. */
enum { PACED_SPARSE = 1000000000 };
/* Percent of a far line's round trip: as long is a near line's while bulk is held for it, see `_set_holds`. */
enum { PACED_HOLD_SHARE = 65 };
/* Nanoseconds: cap on a hold; a far line for which it would be longer is left to flows that fill queues. */
enum { PACED_LONGEST_HOLD = 30000000 };
/* Nanoseconds by which another line must be earlier before express packets change to it: fewer overtake each
   other. */
enum { PACED_STICKY = 2000000 };
/* Nanoseconds of its fair share that a flow may take at once and still go first. */
enum { PACED_FAIR_BURST = 20000000 };
/* Nanoseconds of line time up to which a line's `express` takes express packets of a line that is gone. */
enum { PACED_RESCUED_TIME = 10000000 };
/* Nanoseconds: cap on a line's delay. */
enum { PACED_LONGEST_DELAY = 500000000 };
/* Bytes: cap on what is committed to all lines together, and on the common queue as enlarged for stretched flows. */
enum { PACED_MOST_AHEAD = 32000000 };

/* mlvpnd/protocol/sending/retransmissions.py */
/* Segments remembered at least, twice as many at most: 100 Mbit/s have so many of 1500 bytes under way in 0.25 s. */
enum { RETRANSMISSIONS_REMEMBERED = 2048 };
/* Bytes over which a link's loss is averaged. */
enum { RETRANSMISSIONS_WINDOW = 3000000 };
/* Bytes that count as given to a link, at least, so that one lost segment of few convicts nobody. */
enum { RETRANSMISSIONS_CONVICTING = 1000000 };
/* Seconds in which what is known of a link comes to weigh e times less. */
static const double RETRANSMISSIONS_FORGET = 30.0;
/* Share of a link's bytes; it must lose more to be found harmful. */
static const double RETRANSMISSIONS_HARMFUL = 0.002;
/* Share of a link's bytes; a harmful link that loses no more is harmless again. */
static const double RETRANSMISSIONS_HARMLESS = 0.001;
/* Factor: to be found harmful, a link must lose more than this many times what the best link loses. */
static const double RETRANSMISSIONS_WORSE = 3.0;
/* Factor: a harmful link is harmless again when it loses at most this many times what the worst other link loses. */
static const double RETRANSMISSIONS_ALIKE = 1.5;
/* Seconds over which a link's use is smoothed. */
static const double RETRANSMISSIONS_USE_TIME = 0.5;
/* Part of its rate from which on a link is full. */
static const double RETRANSMISSIONS_FULL = 0.8;
/* Part of its rate below which a link is full no more, and begins to endure anew. */
static const double RETRANSMISSIONS_IDLE = 0.3;
/* Seconds that a link must be full, while segments are lost, to be harmless: its traffic bears the loss. */
static const double RETRANSMISSIONS_ENDURANCE = 1.0;
/* Seconds between two judgements of what was sent, at least. */
static const double RETRANSMISSIONS_LEAST_TIME = 0.05;
/* Segments that a link must have lost while it was full, see `ENDURANCE`. */
enum { RETRANSMISSIONS_BORNE = 3 };

/* mlvpnd/protocol/sending/scheduler.py */
/* Packets that come at once, from which on their burst is large. */
enum { WEIGHTED_LARGE_BURST = 32 };
/* Links that a large burst goes over, or one link in `BURST_SHARE` if this is more. */
enum { WEIGHTED_BURST_LINKS = 2 };
enum { WEIGHTED_BURST_SHARE = 4 };
enum { WEIGHTED_SCALE = 1048576 };

/* mlvpnd/protocol/sending/stretch.py */
/* Nanoseconds: age of a flow, or of its last chance, at which it is stretched. */
static const int64_t STRETCH_AFTER = INT64_C(8600000000);
/* Nanoseconds from a flow's one chance to the next; BBR takes 0.2 s to measure. */
static const int64_t STRETCH_AGAIN = INT64_C(10200000000);
/* Nanoseconds after a flow is stretched in which TCP may send something again all the same. */
static const int64_t STRETCH_SETTLE = INT64_C(3000000000);
/* Nanoseconds in which a stretched flow must carry a part of what it did before, see `CONTENT`. */
static const int64_t STRETCH_CHECK = INT64_C(4000000000);
/* Nanoseconds that a flow stays with the near lines after it has carried less than `CHECK` asks for. */
static const int64_t STRETCH_REFRAIN = INT64_C(60000000000);
/* Nanoseconds without a packet after which a flow begins anew. */
enum { STRETCH_PAUSE = 1000000000 };
/* Nanoseconds: unit of time in the division by `CONTENT`, so that bytes times time are small enough for the twin. */
enum { STRETCH_MILLISECOND = 1000000 };
/* Percent of the near lines' rate that they must have carried since a flow began, for it to be stretched. */
enum { STRETCH_FULL = 75 };
/* Factor: a flow is stretched only if no other has had more than so many times its bytes. */
enum { STRETCH_GREEDY = 4 };
/* Percent of the time that passes by which the packets' delay grows; TCP takes no packet for lost that is so late. */
enum { STRETCH_GROWTH = 30 };
/* Divisor: a stretched flow must carry its earlier rate divided by this. */
enum { STRETCH_CONTENT = 3 };

/* mlvpnd/offload/vnet.py */
enum { VNET_SIZE = 10 };
/* Flag: the checksum field holds the pseudo header's sum; the rest must be added. */
enum { NEEDS_CSUM = 1 };
enum { GSO_NONE = 0 };
enum { GSO_TCPV4 = 1 };
enum { GSO_TCPV6 = 4 };
/* VIRTIO_NET_HDR_GSO_UDP_L4: datagrams of equal size, not one datagram's fragments. */
enum { GSO_UDP = 5 };
/* Flag with the TCP kinds: the first segment has CWR. */
enum { GSO_ECN = 128 };
enum { TCP = 6 };
enum { UDP = 17 };
enum { IPV4_HEADER = 20 };
enum { IPV6_HEADER = 40 };
enum { TCP_HEADER = 20 };
enum { UDP_HEADER = 8 };
enum { ETHERNET_HEADER = 14 };
enum { VLAN_TAG = 4 };
/* Offset of the field in the header. */
enum { TCP_CHECKSUM = 16 };
enum { UDP_CHECKSUM = 6 };
/* Offset of the byte in the header. */
enum { TCP_FLAGS = 13 };
enum { FIN = 1 };
enum { SYN = 2 };
enum { PSH = 8 };
enum { ACK = 16 };
enum { CWR = 128 };

/* mlvpnd/offload/coalesce.py */
/* Bytes of an IP packet. */
enum { COALESCE_IP_LIMIT = 65535 };

/* mlvpnd/offload/mss.py */
/* Kinds of TCP options (RFC 9293 §3.2). */
enum { MSS_END = 0 };
/* Kinds of TCP options (RFC 9293 §3.2). */
enum { MSS_NO_OPERATION = 1 };
/* Kinds of TCP options (RFC 9293 §3.2). */
enum { MSS_MAXIMUM_SEGMENT_SIZE = 2 };
/* Bytes of the option: kind, length, and segment size. */
enum { MSS_OPTION_SIZE = 4 };

/* mlvpnd/net/link_socket.py */
/* Datagrams that may wait while the socket's buffer is full: 370 KB, 30 ms at 100 Mbit/s. */
enum { UDP_QUEUE_LIMIT = 256 };
/* Seconds until runs of datagrams of a refused size are tried again. */
static const double UDP_GSO_PAUSE = 1.0;

/* mlvpnd/net/ancillary.py */
/* Bytes for the control messages of one read: enough for all socket options together, except those for IP options. */
enum { UDP_ROOM = 512 };

/* mlvpnd/protocol/wire/wire.py */
enum wire_introduces {
    WIRE_BY_NOBODY = 0,
    /* A client's, to a server. */
    WIRE_BY_CLIENT = 1,
    /* A server's, to a client that has asked. */
    WIRE_BY_SERVER = 2,
};
/* What stands in a control packet's box, NULL: any of that size; and who may bring a new flow by it. */
static const struct wire_control {
    uint8_t size;
    const char *only;
    enum wire_introduces introduces;
} WIRE_CONTROL[WIRE_TYPES] = {
    [WIRE_AUTH] = {2, "AU", WIRE_BY_CLIENT},
    [WIRE_AUTH_OK] = {2, "OK", WIRE_BY_SERVER},
    [WIRE_KEEPALIVE] = {0, NULL, WIRE_BY_NOBODY},
    [WIRE_DISCONNECT] = {0, NULL, WIRE_BY_NOBODY},
};

#endif
