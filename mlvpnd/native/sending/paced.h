/* Twin of mlvpnd/protocol/sending/paced.py: which link carries a packet, and when, where the links' rates are known.

   Packets come with `line_size` set, copies and filtered ones with `data_seq` and `reorder` too. They leave with `link`,
   and, those of the common stream, with their number. */
#ifndef MLVPND_PACED_H
#define MLVPND_PACED_H

#include "wire/inner.h"
#include "sending/line.h"
#include "sending/stretch.h"

/* What a line is made of. */
struct paced_line {
    int32_t number; /* >= 0 */
    int32_t priority;
    int64_t rate;        /* bytes per second, 1 to LINE_MAX_RATE */
    int64_t delay;       /* nanoseconds */
    int64_t least_delay; /* the same without queues; 0: not known, `delay` counts */
    bool spare;          /* it loses a little, and takes what overflows the other lines of its priority */
};

/* Lines that take packets of the common stream together: the first `count` of `ranked`, and after those, the next
   `higher` open. */
struct paced_group {
    size_t count;
    size_t higher;
    int64_t rate;
    int64_t nearest;   /* the least delay */
    int64_t horizon;   /* nanoseconds by which they are committed ahead, and a packet under way */
    bool before_spare; /* the lines that open next are spare ones */
};

/* All zero is a scheduler without lines, but for what `paced_begin` sets. */
struct paced {
    uint64_t next_data_seq; /* of the next packet of the common stream */
    uint64_t dropped;       /* packets that a full queue gave up; the caller may take them out */
    size_t line_count, group_count;
    struct line **lines;  /* in the order in which they were given */
    struct line **ranked; /* by priority, and in each those last that are spare */
    struct paced_group *groups;
    bool commits_later;                  /* the next packet is for a line for which nothing waits, but */
    int64_t commit_at;                   /* not before this time */
    int64_t rate;                        /* of all lines */
    int64_t reachable;                   /* the delay of the farthest line of the lowest rank that is not too far */
    bool has_near;                       /* others are, and those up to it are near: it is worth it */
    int64_t near_rate;                   /* of the near ones */
    int32_t express_line;                /* the number of the line that small packets took last */
    int64_t fair[FLOW_QUEUE_BUCKETS];    /* when each flow's share will have paid for what it sent ahead of others */
    int64_t bulk_at[FLOW_QUEUE_BUCKETS]; /* when each flow had something long last */
    struct stretch stretch;
    struct flow_queue queue;
};

void paced_begin(struct paced *paced, uint64_t next_data_seq);
/* Frees lines and packets; it is as if it had just begun. */
void paced_end(struct paced *paced);
/* Whether packets have become later just now, so that TCP may send again what is not lost. */
bool paced_is_settling(const struct paced *paced, int64_t now);
/* Schedules over these lines from now on, each number once; false: no memory, and nothing has changed. */
bool paced_set_lines(struct paced *paced, const struct paced_line *given, size_t count, int64_t now);
/* Takes a packet that any line may carry; it is the scheduler's from then on. */
void paced_put(struct paced *paced, enum inner_kind kind, uint32_t flow, struct packet *packet, int64_t now);
/* Takes a packet for one line, before all others or in a queue of its own; false: there is no such line, and the
   packet is still the caller's. */
bool paced_put_on(struct paced *paced, int32_t number, struct packet *packet, uint32_t flow, int64_t now, bool first);
/* Puts the packets that leave now behind `out`, in the order of each line. */
void paced_take(struct paced *paced, int64_t now, struct packet_list *out);
/* Of these lines, which may be none of ours, the one that delivers first; there must be one. */
int32_t paced_earliest(struct paced *paced, const int32_t *numbers, size_t count, int64_t now);
/* All that waits, as if the time until it is due had passed. */
void paced_drain(struct paced *paced, int64_t now, struct packet_list *out);
/* When paced_take has something to give; false while nothing waits. */
bool paced_due(const struct paced *paced, int64_t *due);
/* Bytes in the common queue and for the lines. */
int64_t paced_waiting_bytes(const struct paced *paced);

#endif
