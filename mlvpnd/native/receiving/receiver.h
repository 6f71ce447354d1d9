/* Twin of mlvpnd/protocol/receiving/receiver.py: the way in of a packet that the gate has admitted. */
#ifndef MLVPND_RECEIVER_H
#define MLVPND_RECEIVER_H

#include "receiving/copies.h"
#include "sending/path_state.h"
#include "receiving/reorder.h"

struct receiver {
    const struct path_table *table;
    struct reorder_buffer *reorder; /* NULL: none */
    bool takes_first;               /* of a packet's copies; else each packet comes once, and `copies` means nothing */
    struct copy_filter copies;
    double numbered_at, numbered_since;
    double update_at;
    int64_t epoch;
    double epoch_began;
    struct packet_list freed;
};

void receiver_begin(struct receiver *receiver, const struct path_table *table);
void receiver_end(struct receiver *receiver);
/* Another reorder buffer, or none for 0. What the old one held goes into `held`. False: no memory, and nothing has
   changed. */
bool receiver_resize(struct receiver *receiver, size_t size, struct packet_list *held);
/* Whether the peer may send several copies of a packet, of which the first counts. */
void receiver_take_first(struct receiver *receiver, bool takes_first);

/* Measures the line by any packet of the link's flow. */
void receiver_measure(struct receiver *receiver, struct path_state *path, const struct wire_header *header,
                      struct peer_flow *flow, bool newest, bool authentic, double now);
/* Takes over a packet. Packets that are for the interface now go behind `out`, in order. */
void receiver_receive(struct receiver *receiver, struct path_state *path, const struct wire_header *header,
                      struct packet *packet, double now, struct packet_list *out);
void receiver_begin_flow(struct receiver *receiver, struct path_state *path, double now);
void receiver_lose(struct receiver *receiver, double now);
void receiver_refresh(struct receiver *receiver, double now);
void receiver_update(struct receiver *receiver, double now);
void receiver_stood_still(struct receiver *receiver);

#endif
