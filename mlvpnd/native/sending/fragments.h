/* Twin of mlvpnd/protocol/sending/fragments.py: what a filter sees of pieces of datagrams, and how later ones follow the first. */
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
    bool first;                           /* the first of them */
    uint8_t kind;                         /* of the header at `rest` */
    size_t start;                         /* of IP's header */
    size_t rest;                          /* what a filter is shown behind IPv6's header; 0: it is shown the packet */
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

/* Whether not all of an IP packet, or of a frame with `layer2`, stands where filters look; then it is told in `piece`. */
bool piece_of(const uint8_t *data, size_t size, bool layer2, struct piece *piece);
/* Writes what a filter is shown of a piece with a `rest` to `out`, which has room for `size` bytes; how many it has. */
size_t piece_plain(const struct piece *piece, const uint8_t *data, size_t size, uint8_t *out);

void fragments_clear(struct fragments *table);
/* The first fragment of that name has come. */
void fragments_note(struct fragments *table, const uint8_t *name, size_t size, uint16_t decision, double now);
/* What was decided for it; -1: it is not known. */
int fragments_find(const struct fragments *table, const uint8_t *name, size_t size, double now);

#endif
