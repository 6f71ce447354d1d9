/* Twin of mlvpnd/protocol/sending/flow_queue.py: packets of many flows that wait for a link, by deficit round robin. */
#ifndef MLVPND_FLOW_QUEUE_H
#define MLVPND_FLOW_QUEUE_H

#include "generated.h"
#include "wire/packet.h"

/* The lists that a flow with a packet is in. */
enum flow_order {
    FLOW_AGE,  /* by when they had nothing last; of equally fat flows the first one pays */
    FLOW_TURN, /* by whose turn it is */
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
    size_t flows; /* that have a packet waiting */
    struct {
        struct flow *first, *last;
    } order[FLOW_ORDERS];
    struct flow all[FLOW_QUEUE_BUCKETS];
};

void flow_queue_begin(struct flow_queue *queue, int64_t limit);
/* Takes a packet of a flow, whose bucket it notes in it; returns how many had to go for it, of any flow. One that
   cannot be kept is gone itself. */
size_t flow_queue_push(struct flow_queue *queue, uint32_t flow, struct packet *packet);
/* Takes an owned packet that is older than all others of its flow. What is too many then goes by `flow_queue_trim`. */
void flow_queue_put_back(struct flow_queue *queue, struct packet *packet);
/* Drops what is more than the limit; returns how many packets that were. */
size_t flow_queue_trim(struct flow_queue *queue);
/* The line_size of the packet whose turn it is; the queue must not be empty. */
uint32_t flow_queue_next_size(struct flow_queue *queue);
/* Takes the packet whose turn it is; the queue must not be empty. */
struct packet *flow_queue_pop(struct flow_queue *queue);
/* Frees all packets; returns how many they were. */
size_t flow_queue_clear(struct flow_queue *queue);

#endif
