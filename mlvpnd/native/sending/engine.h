/* A packet's way out and in, as docs/packet.md tells it:

   Out: 1. Read: loop.c reads the interface; segment.c splits super-packets.
        2. Choose: engine_is_directed finds packets that a filter or rule may concern; these are SLOW.
        3. Wait: engine_schedule puts the others into paced.c. Without rates, weighted.c picks a link, and 5 follows.
        4. Leave: engine_pump takes the packets that are due from each line.
        5. Seal: engine_emit adds seq and stamps, and puts the sealed datagram into its link's burst.
        6. Send: udp.c sends the bursts.

   In:  1. Read: loop.c reads all links by udp.c, and merges their datagrams by data_seq.
        2. Admit: engine_take checks header, flow, replay window and source, then opens the box.
        3. Hear: rtt.c, transit.c and loss.c measure the link.
        4. Control: a KEEPALIVE is answered here; other control packets are SLOW before step 3.
        5. Order: receiver.c by copies.c or reorder.c.
        6. Write: tun.c; coalesce.c joins packets to super-packets.

   SLOW packets are for Python, and stay untouched: they change more than counters, meters and clocks. For the others,
   the engine does the work of Session, Sender and Gate. It also refuses packets: a sender without the key, or with
   nothing new to say, costs no turn of Python. */
#ifndef MLVPND_ENGINE_H
#define MLVPND_ENGINE_H

#include "wire/flow_index.h"
#include "sending/fragments.h"
#include "sending/paced.h"
#include "receiving/receiver.h"
#include "sending/retransmissions.h"
#include "sending/weighted.h"

/* libpcap's bpf_filter(3pcap): instructions, packet, its length, bytes that are there. */
typedef unsigned (*engine_filter)(const void *instructions, const uint8_t *packet, unsigned size, unsigned there);

struct engine {
    bool layer2;
    bool is_server;
    bool cleartext_data;
    bool is_paced; /* links are paced by rates; else bandwidths are weights */
    bool notes;    /* look for retransmissions: there is a choice of links */
    bool asks;     /* Python decides on each packet: not all filters and rules are BPF programs */
    int64_t outer; /* bytes around a datagram on the line */
    uint8_t key[WIRE_KEY_SIZE];
    struct path_table table;
    struct receiver receiver;
    struct paced paced;
    struct weighted weighted;
    struct retransmissions retransmissions;
    struct flow_index flows;
    engine_filter filter;
    const void **programs; /* BPF; packets that one matches are for Python */
    size_t program_count;
    struct fragments fragments;
    uint64_t drops[DROP_REASONS];          /* packets that no link took */
    uint8_t plain[WIRE_MAX_DATAGRAM_SIZE]; /* what a filter sees of a packet with extension headers */
};

enum engine_fate { ENGINE_DROPPED, ENGINE_DATA, ENGINE_HEARD, ENGINE_SLOW };

static inline int64_t engine_nanoseconds(double now) {
    return (int64_t)(now * 1e9);
}

/* `key`: RETRANSMISSIONS_KEY secret bytes. NULL: no memory. Memory that is not written yet takes none: most tables stay
   empty for long. */
struct engine *engine_new(bool layer2, const uint8_t *key);
void engine_free(struct engine *engine);
/* Packets that one of these BPF programs matches are for Python. False: no memory, and nothing has changed. */
bool engine_set_programs(struct engine *engine, engine_filter filter, const void *const *programs, size_t count);

struct path_state *engine_path(const struct engine *engine, int32_t number);

/* Numbers, seals and queues one datagram for `to`. Takes over the packet, which must be owned. */
void engine_emit(struct engine *engine, struct path_state *path, const struct address *to, enum wire_type type,
                 struct packet *packet, double now);

/* Whether a filter or rule may concern a packet; it must fit a datagram. */
bool engine_is_directed(struct engine *engine, const struct packet *packet, double now);

/* Takes over an owned packet from the interface and schedules it, or drops it. */
void engine_schedule(struct engine *engine, struct packet *packet, double now);

/* Emits the packets that are due. */
void engine_pump(struct engine *engine, double now);

/* Whether a datagram is DATA of the link's own flow; most likely engine_take takes it. */
bool engine_is_usual(const struct path_state *path, const struct packet *datagram);

/* Takes one datagram of a link. ENGINE_DATA: it is taken over; packets for the interface are behind `out`. Otherwise it
   is still the caller's: ENGINE_DROPPED was counted, ENGINE_HEARD was a KEEPALIVE, ENGINE_SLOW is for Python. */
enum engine_fate engine_take(struct engine *engine, struct path_state *path, struct packet *datagram,
                             const struct address *source, double now, struct packet_list *out);

#endif
