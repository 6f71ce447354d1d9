/* The life of a packet, out and in, over the parts of this directory: what Session, Sender and Gate do for packets that
   change nothing but counters, meters and clocks. All others are told to be SLOW, untouched, and are for Python. What is
   refused is refused here: whoever has no key, or nothing new to say, costs no turn of Python.

   Out: engine_schedule puts a packet into the schedule; engine_pump sends what is due; engine_emit numbers and seals it
   into the burst of its link. In: engine_take checks, opens and measures a datagram and puts it in order. */
#ifndef MLVPND_ENGINE_H
#define MLVPND_ENGINE_H

#include "wire/flow_index.h"
#include "sending/fragments.h"
#include "sending/paced.h"
#include "receiving/receiver.h"
#include "sending/retransmissions.h"
#include "sending/weighted.h"

/* libpcap's bpf_filter(3pcap): instructions, packet, its length, bytes of it. */
typedef unsigned (*engine_filter)(const void *instructions, const uint8_t *packet, unsigned size, unsigned there);

struct engine {
    bool layer2;
    bool is_server;
    bool cleartext_data;
    bool is_paced; /* rates are paced; else bandwidths are weights */
    bool notes;    /* retransmissions are looked for: there is a choice of links */
    bool asks;     /* a filter or rule that is no BPF program is asked about each packet */
    int64_t outer; /* bytes around a datagram on the line */
    uint8_t key[WIRE_KEY_SIZE];
    struct path_table *table;
    struct receiver *receiver;
    struct paced *paced;
    struct weighted *weighted;
    struct retransmissions *retransmissions;
    const struct flow_index *flows; /* NULL: none is known */
    engine_filter filter;
    const void **programs; /* whose packets are for Python */
    size_t program_count;
    struct fragments *fragments;
    uint64_t drops[DROP_REASONS];          /* of packets that no link took */
    uint8_t plain[WIRE_MAX_DATAGRAM_SIZE]; /* what a filter is shown of a packet with extension headers */
};

enum engine_fate { ENGINE_DROPPED, ENGINE_DATA, ENGINE_HEARD, ENGINE_SLOW };

static inline int64_t engine_nanoseconds(double now) {
    return (int64_t)(now * 1e9);
}

struct path_state *engine_path(const struct engine *engine, int32_t number);

/* Numbers, seals and queues one datagram for `to`. Takes over the packet, which is owned. */
void engine_emit(struct engine *engine, struct path_state *path, const struct address *to, enum wire_type type,
                 struct packet *packet, double now);

/* Whether a filter or rule may be about a packet that fits a datagram. */
bool engine_is_directed(struct engine *engine, const struct packet *packet, double now);

/* Takes over a packet from the interface, owned, for the links that shall carry it. */
void engine_schedule(struct engine *engine, struct packet *packet, double now);

/* Sends what is due. */
void engine_pump(struct engine *engine, double now);

/* Whether a datagram is DATA of the link's own flow, so that most likely engine_take takes it. */
bool engine_is_usual(const struct path_state *path, const struct packet *datagram);

/* One datagram of a link. ENGINE_DATA: it was taken over, and what is for the interface is behind `out`. ENGINE_DROPPED:
   it is counted, and still the caller's, as one that is ENGINE_SLOW, and a KEEPALIVE, which is ENGINE_HEARD. */
enum engine_fate engine_take(struct engine *engine, struct path_state *path, struct packet *datagram,
                             const struct address *source, double now, struct packet_list *out);

#endif
