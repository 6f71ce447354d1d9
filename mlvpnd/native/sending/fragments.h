/* Twin of mlvpnd/protocol/sending/fragments.py: what a filter sees of pieces of datagrams, and how later fragments
   follow the first. */
#ifndef MLVPND_FRAGMENTS_H
#define MLVPND_FRAGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated.h"

/* A packet of which a filter does not see all. */
struct piece {
    uint8_t name[FRAGMENTS_LONGEST_NAME]; /* what all fragments of a datagram have in common */
    uint8_t name_size;                    /* bytes; 0: it is no fragment */
    bool first;                           /* the first fragment */
    uint8_t kind;                         /* of the header at `rest` */
    size_t start;                         /* of the IP header */
    size_t rest;                          /* of what a filter sees behind the IPv6 header; 0: it sees the packet */
};

struct fragment {
    uint8_t name[FRAGMENTS_LONGEST_NAME];
    uint8_t name_size; /* 0: a free place */
    uint16_t decision;
    double at;
};

struct fragments {
    struct fragment places[FRAGMENTS_REMEMBERED];
};

/* Whether an IP packet (with `layer2`, a frame) does not have all its parts where filters look; then `piece` describes
   it. */
bool piece_of(const uint8_t *data, size_t size, bool layer2, struct piece *piece);
/* Writes what a filter sees of a piece with a `rest` to `out`; returns its bytes. `out` has room for `size` bytes. */
size_t piece_plain(const struct piece *piece, const uint8_t *data, size_t size, uint8_t *out);

void fragments_clear(struct fragments *table);
/* Notes the decision for a first fragment of this name. */
void fragments_note(struct fragments *table, const uint8_t *name, size_t size, uint16_t decision, double now);
/* The decision for a name; -1: not known. */
int fragments_find(const struct fragments *table, const uint8_t *name, size_t size, double now);

#endif
