/* Twin of mlvpnd/protocol/sending/stretch.py: which flows are delivered as late as by a far line, because they keep queues so
   short that it would stay idle. Times are nanoseconds. */
#ifndef MLVPND_STRETCH_H
#define MLVPND_STRETCH_H

#include "sending/flow_queue.h"

struct stretch_flow {
    int64_t begun;
    int64_t seen;
    int64_t bytes;
    int64_t carried; /* what the near lines had carried when it had begun */
    /* While it is stretched: */
    int64_t check_at; /* when it is looked at */
    int64_t before;   /* bytes that it had when it was so last */
    int64_t least;    /* those that it must have more */
    bool stretched;
};

/* Flows are known by their buckets. */
struct stretch {
    int64_t since;  /* when the first of those that are stretched was so */
    int64_t newest; /* when the last was */
    size_t count;   /* flows that are stretched */
    struct stretch_flow flows[FLOW_QUEUE_BUCKETS];
};

void stretch_begin(struct stretch *stretch);
/* By how much packets are delayed at most. */
int64_t stretch_delay(const struct stretch *stretch, int64_t now);
/* Whether TCP may send again what is only late. */
bool stretch_is_settling(const struct stretch *stretch, int64_t now);
/* Flows that have ended are not stretched. */
void stretch_forget(struct stretch *stretch, int64_t now);
/* Notes a bulk packet; whether its flow is stretched. The near lines have a rate, and have carried so much. */
bool stretch_admit(struct stretch *stretch, uint32_t flow, uint32_t size, int64_t now, int64_t carried, int64_t rate);

#endif
