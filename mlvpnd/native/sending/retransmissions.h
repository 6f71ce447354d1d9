/* Twin of mlvpnd/protocol/sending/retransmissions.py: what inner TCP sends again, and which link lost it. */
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
    uint16_t slots[RETRANSMISSIONS_SLOTS]; /* 0: free; else the place in `all`, plus one */
    struct remembered all[RETRANSMISSIONS_REMEMBERED];
};

/* What is known of a link. */
struct retransmissions_link {
    int32_t number;
    int64_t given, given_lost, losses; /* bytes, bytes and segments since the last judgement */
    bool has_account;                  /* it carried at the last judgement; else the fields below mean nothing */
    bool harmful;                      /* as last judged */
    bool endured;
    double sent, lost; /* bytes; older ones count less */
    double use;        /* part of its rate, smoothed */
    double full_for;   /* seconds that it has been full so far */
    int64_t borne;     /* segments lost meanwhile */
};

/* A link that carries, and its bytes per second. */
struct retransmissions_rate {
    int32_t number;
    int64_t rate;
};

/* All zero is valid, but anybody knows its key. */
struct retransmissions {
    uint8_t key[RETRANSMISSIONS_KEY]; /* of the hash: who chooses the segments must not choose the slots */
    double judged_at;
    struct retransmissions_link *links;
    size_t count, room;
    unsigned latest; /* the table in use; the other one has the segments before */
    struct remembered_table tables[2];
};

/* Begins with all else zero. */
void retransmissions_begin(struct retransmissions *seen, const uint8_t key[RETRANSMISSIONS_KEY]);
void retransmissions_end(struct retransmissions *seen);
/* Notes that a TCP segment leaves by a link: its name (inner_segment), at most INNER_LONGEST_NAME bytes, and its bytes.
   Without memory for a new link, its bytes are not counted. */
void retransmissions_sent(struct retransmissions *seen, int32_t link, const uint8_t *name, size_t name_size,
                          int64_t length);
/* The share of a link's recent bytes that was sent again. */
double retransmissions_share(const struct retransmissions *seen, int32_t link);
/* Judges which of the links that carry are harmful, into `links`. False: no memory, and nothing was judged. */
bool retransmissions_judge(struct retransmissions *seen, const struct retransmissions_rate *rates, size_t count,
                           double now);

#endif
