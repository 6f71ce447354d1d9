/* Twin of mlvpnd/protocol/sending/stretch.py: which flows are delivered as late as by a far line. They keep queues so
   short that this line would stay idle. Times are nanoseconds. */
#ifndef MLVPND_STRETCH_H
#define MLVPND_STRETCH_H

#include "sending/flow_queue.h"

struct stretch_flow {
    int64_t begun;
    int64_t seen;
    int64_t bytes;
    int64_t carried; /* bytes that the near lines had carried when it began */
    /* While it is stretched: */
    int64_t check_at; /* when it is checked next */
    int64_t before;   /* its bytes at the last check */
    int64_t least;    /* bytes that it must send from check to check */
    bool stretched;
};

/* Flows are known by their buckets. */
struct stretch {
    int64_t since;  /* when the first stretched flow began to be */
    int64_t newest; /* when the last one did */
    size_t count;   /* flows that are stretched */
    struct stretch_flow flows[FLOW_QUEUE_BUCKETS];
};

void stretch_begin(struct stretch *stretch);
/* By how much packets are delayed at most now. */
int64_t stretch_delay(const struct stretch *stretch, int64_t now);
/* Whether TCP may send again packets that are only late. */
bool stretch_is_settling(const struct stretch *stretch, int64_t now);
/* Stops stretching flows that have ended. */
void stretch_forget(struct stretch *stretch, int64_t now);
/* Notes a bulk packet; whether its flow is stretched. `carried`, `rate`: bytes and bytes per second of near lines. */
bool stretch_admit(struct stretch *stretch, uint32_t flow, uint32_t size, int64_t now, int64_t carried, int64_t rate);

#endif
