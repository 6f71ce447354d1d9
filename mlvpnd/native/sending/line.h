/* Twin of mlvpnd/protocol/sending/line.py: a link as the paced scheduler sees it.

   Times are nanoseconds of the driver's clock, sizes are bytes on the line, rates are bytes per second. */
#ifndef MLVPND_LINE_H
#define MLVPND_LINE_H

#include "sending/flow_queue.h"

struct line {
    int32_t number;
    int32_t priority;
    bool spare;
    bool higher; /* it carries only what overflows others */
    int64_t rate;
    int64_t delay;       /* from here to the peer */
    int64_t least_delay; /* delay without queues */
    int64_t hold;        /* nanoseconds that a committed packet waits at least */
    int64_t sent;        /* bytes that have left */
    int64_t ready_at;    /* when the next packet may leave */
    struct packet_list express;
    int64_t express_bytes;
    struct packet_list committed;
    int64_t committed_bytes;
    int64_t kept_until; /* when all committed packets will have left, if some may not leave at once */
    int64_t turn;       /* bytes by which `committed` is ahead of `own` while both wait */
    struct flow_queue own;
};

/* Nanoseconds that a line takes for so many bytes, rounded down. */
static inline int64_t line_time(int64_t bytes, int64_t rate) {
    if (bytes <= INT64_MAX / LINE_SECOND)
        return bytes * LINE_SECOND / rate;
    return bytes / rate * LINE_SECOND + bytes % rate * LINE_SECOND / rate;
}

/* Bytes that a line carries in so many nanoseconds, rounded down. No product exceeds the result, or 10^18. */
static inline int64_t line_bytes(int64_t time, int64_t rate) {
    int64_t rest = rate % LINE_SECOND;
    return rate / LINE_SECOND * time + time / LINE_SECOND * rest + time % LINE_SECOND * rest / LINE_SECOND;
}

static inline bool line_busy(const struct line *line) {
    return line->express.first || line->committed.first || line->own.bytes;
}

/* When an express packet could leave. */
static inline int64_t line_express_at(const struct line *line) {
    return line->ready_at + line_time(line->express_bytes, line->rate);
}

/* Notes that time has passed: an idle line is ready now, a busy one may catch up by LINE_CREDIT at most. */
static inline void line_advance(struct line *line, int64_t now) {
    int64_t least = line_busy(line) ? now - LINE_CREDIT : now;
    if (line->ready_at < least)
        line->ready_at = least;
}

/* NULL: no memory. */
struct line *line_new(int32_t number, int64_t rate, int64_t delay, int64_t now);
/* Frees what waits too. */
void line_free(struct line *line);
/* When a packet that is given to the line now could leave, behind all that waits. */
int64_t line_free_at(const struct line *line);
/* When the next packet leaves; something must wait. */
int64_t line_due(const struct line *line);
/* Puts an owned packet in front of all but other express packets. */
void line_push_first(struct line *line, struct packet *packet);
/* Takes the next packet of the common stream; it must be owned. */
void line_commit(struct line *line, struct packet *packet);
/* The packet that leaves now, or NULL: nothing waits, or the line is not ready. */
struct packet *line_take(struct line *line, int64_t now);

#endif
