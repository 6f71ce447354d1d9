/* What the files of the paced schedule share: paced.c has the way of a packet, paced_lines.c which lines there are. */
#ifndef MLVPND_PACED_PARTS_H
#define MLVPND_PACED_PARTS_H

#include "sending/paced.h"

/* Nanoseconds but for the shares, which are percents, what it is worth, and bytes that are committed; see paced.py. */
enum {
    SLACK = 4000000,
    QUEUE_TIME = 100000000,
    OVERFLOW = 15000000,
    WAIT_SHARE = 50,
    ALIKE = 150,
    LONGEST_WAIT = 60000000,
    WORTH = 2,
    SPARSE = 1000000000,
    HOLD_SHARE = 65,
    LONGEST_HOLD = 30000000,
    STICKY = 2000000,
    FAIR_BURST = 20000000,
    RESCUED_TIME = 10000000,
    LONGEST_DELAY = 500000000,
    MOST_AHEAD = 32000000,
};

static inline int64_t max(int64_t one, int64_t other) {
    return one > other ? one : other;
}

static inline int64_t min(int64_t one, int64_t other) {
    return one < other ? one : other;
}

/* NULL: there is none with that number. */
static inline struct line *paced_line_of(const struct paced *paced, int32_t number) {
    for (size_t i = 0; i < paced->line_count; i++) {
        if (paced->lines[i]->number == number)
            return paced->lines[i];
    }
    return NULL;
}

/* The line that delivers a packet first that goes first on it; there must be one. */
struct line *paced_first_line(struct paced *paced, int64_t now);
/* Sets for how long lines hold what is committed, and which are near; there must be one. */
void paced_hold_back(struct paced *paced, int64_t now);

#endif
