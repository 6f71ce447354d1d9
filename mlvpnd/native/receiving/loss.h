/* Twin of mlvpnd/protocol/receiving/loss.py: how many packets the peer sent lately, and how many came. */
#ifndef MLVPND_LOSS_H
#define MLVPND_LOSS_H

#include <stdbool.h>
#include <stdint.h>

/* Remembered: the oldest bucket, and the buckets of the last LOSS_LEAST packets or of the last LOSS_WINDOW seconds,
   whichever are more. A bucket has at least one number, and at least 0.1 s of 2.5 s: 66 at most. */
enum { LOSS_BUCKETS = 128 };

struct loss_meter {
    double paused_until;
    uint64_t newest;
    bool nowhere;          /* paused: every number is a jump, and none is behind */
    uint32_t first, count; /* of the ring; the last is the current one */
    struct loss_bucket {
        double begun_at;
        uint64_t before; /* the newest number that had come before */
        int64_t received;
    } ring[LOSS_BUCKETS];
};

void loss_begin(struct loss_meter *meter, uint64_t first);
/* Notes an authentic packet. `others`: how many numbers between the newest so far and it came before it. */
void loss_received(struct loss_meter *meter, uint64_t seq, double now, int64_t others);
void loss_pause(struct loss_meter *meter, double until);
uint64_t loss_sent(const struct loss_meter *meter);
int64_t loss_lost(const struct loss_meter *meter);
int64_t loss_percent(const struct loss_meter *meter);

/* `seq < newest` of the reference. */
static inline bool loss_is_behind(const struct loss_meter *meter, uint64_t seq) {
    return !meter->nowhere && seq < meter->newest;
}

/* `newest + 1` of the reference: from here on, numbers that came without proof are counted. */
static inline uint64_t loss_next(const struct loss_meter *meter) {
    return meter->nowhere ? 0 : meter->newest + 1;
}

#endif
