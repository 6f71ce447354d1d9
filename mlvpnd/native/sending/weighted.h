/* Twin of mlvpnd/protocol/sending/scheduler.py: weighted round robin by bytes. */
#ifndef MLVPND_WEIGHTED_H
#define MLVPND_WEIGHTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Virtual time. 64 bits would not last for as long as anybody bonds lines. */
__extension__ typedef __int128 weighted_time;

struct weighted_link {
    int32_t number;
    int64_t weight; /* 1 to MAX_WEIGHT of scheduler.py */
    int64_t cost;   /* virtual time per byte */
    bool in_burst;  /* whether it takes packets of the present burst */
    weighted_time clock;
};

/* All zero has no links. */
struct weighted {
    struct weighted_link *links; /* in the order in which they were given */
    size_t count;
    bool burst_begins;          /* the next pick chooses the burst's links */
    weighted_time virtual_time; /* the clock of the link that took the last packet */
};

/* Spreads over these links from now on; each has `number` and `weight`. False: no memory, nothing changed. */
bool weighted_set_links(struct weighted *weighted, const struct weighted_link *given, size_t count);
/* So many packets have come at once. The picks until the next call are for them. */
void weighted_begin_burst(struct weighted *weighted, size_t packets);
/* The number of the link that takes a packet of `size` bytes, or -1 if there is none. */
int32_t weighted_pick(struct weighted *weighted, uint32_t size);
/* Forgets all links. */
void weighted_end(struct weighted *weighted);

#endif
