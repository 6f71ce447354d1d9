/* Twin of mlvpnd/protocol/receiving/reorder.py: puts packets of several links back into the order of their `data_seq`.

   Numbers are modulo 2^64. Held numbers are less than REORDER_JUMP ahead of the expected one, so each has its own place
   modulo REORDER_JUMP. `early` has a bit at that place for each held number; this finds the first one quickly. A hash
   table leads from a number to its entry. Entries are also in order of arrival: in a ring of all, and in a row for each
   link. These are allocated once, for `size` + 1 packets. So a packet's cost does not grow with the packets held,
   wherever a peer has left holes. */
#ifndef MLVPND_REORDER_H
#define MLVPND_REORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated.h"
#include "wire/packet.h"

/* A place for a held packet, named by its index. Index 0 holds no packet: it is both ends of the ring. */
struct reorder_entry {
    struct packet *packet;           /* with its number, when it came and by which link */
    uint32_t chain;                  /* the next with the same hash, or the next that is free */
    uint32_t older, newer;           /* in order of arrival */
    uint32_t link_older, link_newer; /* the same among its link's packets; 0: none */
};

/* A link that may bring the missing number. */
struct reorder_link {
    int32_t link;
    double disorder; /* seconds */
};

/* What a link brought early. */
struct reorder_source {
    int32_t link;
    bool is_used;            /* else this place of the table is free */
    uint32_t oldest, newest; /* entries of its packets that are held; 0: none */
    uint64_t highest;        /* number; it means nothing once it is not above the expected one */
};

struct reorder_buffer {
    uint64_t next; /* the number expected */
    bool counting; /* whether a count has begun */
    bool has_passed;
    int strays;  /* stragglers and repetitions since a packet of the count */
    size_t held; /* packets */
    size_t size;
    double wait;   /* seconds; may be written at any time */
    double opened; /* when the first packet behind the first hole came */
    double passed; /* if has_passed: since when no link can bring the missing number */
    double began;
    uint64_t late, timeouts, duplicates;
    struct reorder_entry *entries;
    uint32_t free; /* the first place that is free */
    uint32_t *table;
    uint32_t mask; /* of a number: its hash */
    struct reorder_link *links;
    size_t link_count;
    struct reorder_source *sources;   /* by a hash of the link, else in the next place that is free */
    size_t source_count, source_room; /* the room is a power of two, and twice the count at least */
    uint64_t early[REORDER_JUMP / 64];
    uint8_t fates[REORDER_JUMP];
};

/* `size` is at least 1; false: no memory. */
bool reorder_begin(struct reorder_buffer *buffer, size_t size, double wait);
void reorder_end(struct reorder_buffer *buffer);
/* Sets the links that may bring the missing number, in order; false: no memory, and nothing has changed. */
bool reorder_set_links(struct reorder_buffer *buffer, const struct reorder_link *links, size_t count);
/* When reorder_expire has work to do; infinity while nothing is held. */
double reorder_deadline(const struct reorder_buffer *buffer);
/* Puts the packets behind every hole whose time is over into `out`, in order. */
void reorder_expire(struct reorder_buffer *buffer, double now, struct packet_list *out);
/* Puts everything held into `out`, in order; the next packet begins a new count. */
void reorder_flush(struct reorder_buffer *buffer, struct packet_list *out);
/* Whether this number shows that the peer has begun anew: 1 yes, 0 no, -1 it may be a late one. */
int reorder_is_anew(const struct reorder_buffer *buffer, uint64_t data_seq, double now, double grace);

bool reorder_push_slowly(struct reorder_buffer *buffer, struct packet *packet, double now, int32_t link,
                         struct packet_list *out);

/* Takes over a packet with its `data_seq`. Puts packets whose turn has come into `out`, in order; this one itself,
   owned or borrowed, if it need not wait. False: no memory to hold it, and it is dropped. */
static inline bool reorder_push(struct reorder_buffer *buffer, struct packet *packet, double now, int32_t link,
                                struct packet_list *out) {
    if (packet->data_seq != buffer->next || !buffer->counting || buffer->held)
        return reorder_push_slowly(buffer, packet, now, link, out);
    buffer->fates[buffer->next++ % REORDER_JUMP] = REORDER_DELIVERED;
    buffer->strays = 0;
    packet_list_push(out, packet);
    return true;
}

#endif
