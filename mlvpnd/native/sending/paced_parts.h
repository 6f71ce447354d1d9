/* What the files of the paced schedule share: paced.c has the way of a packet, paced_lines.c which lines there are. */
#ifndef MLVPND_PACED_PARTS_H
#define MLVPND_PACED_PARTS_H

#include "sending/paced.h"

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
