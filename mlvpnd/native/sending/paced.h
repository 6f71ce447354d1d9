/* Twin of mlvpnd/protocol/sending/paced.py: which link carries a packet, and when, where the links' rates are known.

   A packet comes with `line_size`; a copy or a filtered one also with `data_seq` and `reorder`. It leaves with `link`;
   a packet of the common stream also with its number. */
#ifndef MLVPND_PACED_H
#define MLVPND_PACED_H

#include "wire/inner.h"
#include "sending/line.h"
#include "sending/stretch.h"

/* The parameters of a line. */
struct paced_line {
    int32_t number; /* >= 0 */
    int32_t priority;
    int64_t rate;        /* bytes per second, 1 to MAX_RATE of line.py */
    int64_t delay;       /* nanoseconds */
    int64_t least_delay; /* delay without queues; 0: not known, `delay` counts */
    bool spare;          /* it loses a little, and takes what overflows the other lines of its priority */
};

/* Lines that take packets of the common stream together: the first `count` of `ranked`. After these, the next `higher`
   lines open. */
struct paced_group {
    size_t count;
    size_t higher;
    int64_t rate;
    int64_t nearest;   /* nanoseconds: the least delay */
    int64_t horizon;   /* nanoseconds in which a committed packet begins to arrive */
    bool before_spare; /* the lines that open next are spare ones */
};

/* All zero is a scheduler without lines, except for what `paced_begin` sets. So tables of flows that never come take no
   memory. */
struct paced {
    uint64_t next_data_seq; /* of the next packet of the common stream */
    uint64_t dropped;       /* packets dropped; the caller may reset it */
    size_t line_count, group_count;
    struct line **lines;  /* in the order in which they were given */
    struct line **ranked; /* by priority; within one, the spare lines come last */
    struct paced_group *groups;
    bool commits_later;   /* the next packet is for an idle line, but not before `commit_at` */
    int64_t commit_at;    /* nanoseconds */
    int64_t rate;         /* of all lines */
    int64_t reachable;    /* delay of the farthest line of the lowest group that is not too far */
    bool has_near;        /* farther lines exist, and are worth stretching flows; lines up to `reachable` are near */
    int64_t near_rate;    /* of the near lines */
    int32_t express_line; /* number of the line that the last small packet took */
    int64_t fair[FLOW_QUEUE_BUCKETS];    /* when each flow's share will have paid for the packets that went first */
    int64_t bulk_at[FLOW_QUEUE_BUCKETS]; /* when each flow last had a bulk packet */
    struct stretch stretch;
    struct flow_queue queue;
};

void paced_begin(struct paced *paced);
/* Frees lines and packets. */
void paced_end(struct paced *paced);
/* Whether packets have just become later, so that TCP may send again packets that are not lost. */
bool paced_is_settling(const struct paced *paced, int64_t now);
/* Schedules over these lines from now on; each number comes once. False: no memory, and nothing has changed. */
bool paced_set_lines(struct paced *paced, const struct paced_line *given, size_t count, int64_t now);
/* Takes over a packet that any line may carry. */
void paced_put(struct paced *paced, enum inner_kind kind, uint32_t flow, struct packet *packet, int64_t now);
/* Takes over a packet for one line. `first`, or a copy: it goes first if there is room; else it waits in the line's own
   queue (a copy is dropped). False: there is no such line, and the packet is still the caller's. */
bool paced_put_on(struct paced *paced, int32_t number, struct packet *packet, uint32_t flow, int64_t now, bool first);
/* Puts the packets that leave now behind `out`; each line's are in order. */
void paced_take(struct paced *paced, int64_t now, struct packet_list *out);
/* Of these lines, the one that delivers first; there must be one. If none is ours, the first number. */
int32_t paced_earliest(struct paced *paced, const int32_t *numbers, size_t count, int64_t now);
/* Puts all that waits behind `out`, as if the time until it is due had passed. */
void paced_drain(struct paced *paced, int64_t now, struct packet_list *out);
/* When paced_take has something to give; false while nothing waits. */
bool paced_due(const struct paced *paced, int64_t *due);
/* Bytes that wait in the common queue and for the lines. */
int64_t paced_waiting_bytes(const struct paced *paced);

#endif
