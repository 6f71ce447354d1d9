/* Twin of mlvpnd/protocol/sending/retransmissions.py: what inner TCP sends again, and by which link it was lost. */
#ifndef MLVPND_RETRANSMISSIONS_H
#define MLVPND_RETRANSMISSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated.h"
#include "wire/inner.h"

enum {
    RETRANSMISSIONS_SLOTS = 2 * RETRANSMISSIONS_REMEMBERED, /* of a hash table; a power of two */
    RETRANSMISSIONS_KEY = 16,                               /* bytes */
};

struct remembered {
    uint8_t name[INNER_LONGEST_NAME];
    uint8_t size;
    int32_t link;
};

/* By which link a segment left. */
struct remembered_table {
    uint32_t count;
    uint16_t slots[RETRANSMISSIONS_SLOTS]; /* 0: free, else the place in `all` and one */
    struct remembered all[RETRANSMISSIONS_REMEMBERED];
};

/* What is known of a link. */
struct retransmissions_link {
    int32_t number;
    int64_t given, given_lost, losses; /* bytes and segments since what was sent was last judged */
    bool has_account;                  /* it carried when it was last judged; else the rest is nothing */
    bool harmful;                      /* as last judged */
    bool endured;
    double sent, lost; /* bytes, the older the less */
    double use;        /* part of its rate, smoothed */
    double full_for;   /* seconds that it has been full until now */
    int64_t borne;     /* segments lost meanwhile */
};

/* A link that carries, and its bytes per second. */
struct retransmissions_rate {
    int32_t number;
    int64_t rate;
};

/* All zero is one whose key anybody knows. */
struct retransmissions {
    uint8_t key[RETRANSMISSIONS_KEY]; /* of the hash: who chooses what is sent must not choose the slots too */
    double judged_at;
    struct retransmissions_link *links;
    size_t count, room;
    unsigned latest; /* which table is in use; the other has those before */
    struct remembered_table tables[2];
};

void retransmissions_begin(struct retransmissions *seen, const uint8_t key[RETRANSMISSIONS_KEY]);
void retransmissions_end(struct retransmissions *seen);
/* A TCP segment leaves by a link: its name (inner_segment), at most INNER_LONGEST_NAME bytes, and its bytes. Without
   memory for a link that is new, nothing is known of the packet. */
void retransmissions_sent(struct retransmissions *seen, int32_t link, const uint8_t *name, size_t name_size,
                          int64_t length);
/* The part of what a link was given lately that was sent again. */
double retransmissions_share(const struct retransmissions *seen, int32_t link);
/* Of the links that carry, which are harmful: it is in `links` then. False: no memory, and nothing was judged. */
bool retransmissions_judge(struct retransmissions *seen, const struct retransmissions_rate *rates, size_t count,
                           double now);

#endif
