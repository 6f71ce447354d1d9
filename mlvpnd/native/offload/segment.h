/* Twin of mlvpnd/offload/segment.py: splits what an interface with a vnet header gives into packets. */
#ifndef MLVPND_SEGMENT_H
#define MLVPND_SEGMENT_H

#include "wire/packet.h"

enum { SEGMENT_LIMIT = 8192 }; /* packets of one super-packet */

/* Puts the packets of one read behind `out`, owned, and returns how many. -1: header and packet do not match, or there
   is no memory; then `out` gets none. `header` is the vnet header of 10 bytes; the packet may stand elsewhere. */
int segment_frame(const uint8_t *header, const uint8_t *data, size_t size, bool layer2, struct packet_list *out);

#endif
