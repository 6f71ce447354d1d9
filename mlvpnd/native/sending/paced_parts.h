/* Shared by the paced schedule's files: paced.c (the way of a packet) and paced_lines.c (the set of lines). */
#ifndef MLVPND_PACED_PARTS_H
#define MLVPND_PACED_PARTS_H

#include "sending/paced.h"

static inline int64_t max(int64_t one, int64_t other) {
    return one > other ? one : other;
}

static inline int64_t min(int64_t one, int64_t other) {
    return one < other ? one : other;
}

/* The line with a number; NULL: there is none. */
static inline struct line *paced_line_of(const struct paced *paced, int32_t number) {
    for (size_t i = 0; i < paced->line_count; i++) {
        if (paced->lines[i]->number == number)
            return paced->lines[i];
    }
    return NULL;
}

/* The line that delivers an express packet first; there must be a line. */
struct line *paced_first_line(struct paced *paced, int64_t now);
/* Sets how long lines hold committed packets, and which lines are near; there must be a line. */
void paced_hold_back(struct paced *paced, int64_t now);

#endif
