/* Twin of mlvpnd/protocol/sending/flow_queue.py: packets of many flows that wait for a link, by deficit round robin. */
#ifndef MLVPND_FLOW_QUEUE_H
#define MLVPND_FLOW_QUEUE_H

#include "generated.h"
#include "wire/packet.h"

/* The lists that a flow with a packet is in. */
enum flow_order {
    FLOW_AGE,  /* by when they last had nothing; of equally fat flows, the first one pays */
    FLOW_TURN, /* by turn */
    FLOW_ORDERS,
};

struct flow {
    struct packet_list packets;
    int64_t bytes;
    int64_t deficit;
    struct {
        struct flow *before, *behind;
    } place[FLOW_ORDERS];
};

/* All zero is an empty queue that holds nothing. */
struct flow_queue {
    int64_t limit; /* bytes; packets count with their line_size */
    int64_t bytes;
    size_t flows; /* with a packet waiting */
    struct {
        struct flow *first, *last;
    } order[FLOW_ORDERS];
    struct flow all[FLOW_QUEUE_BUCKETS];
};

void flow_queue_begin(struct flow_queue *queue, int64_t limit);
/* Takes a packet, and notes its flow's bucket in it. Returns how many packets of any flow were dropped for it. A packet
   that cannot be kept is itself dropped. */
size_t flow_queue_push(struct flow_queue *queue, uint32_t flow, struct packet *packet);
/* Takes an owned packet that is older than all others of its flow. Then flow_queue_trim must keep the limit. */
void flow_queue_put_back(struct flow_queue *queue, struct packet *packet);
/* Drops packets down to the limit; returns how many. */
size_t flow_queue_trim(struct flow_queue *queue);
/* The line_size of the packet whose turn it is; the queue must not be empty. */
uint32_t flow_queue_next_size(struct flow_queue *queue);
/* Takes the packet whose turn it is; the queue must not be empty. */
struct packet *flow_queue_pop(struct flow_queue *queue);
/* Frees all packets; returns how many. */
size_t flow_queue_clear(struct flow_queue *queue);

#endif
