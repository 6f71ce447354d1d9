/* Twin of mlvpnd/protocol/wire/inner.py: what the scheduler must know of an inner packet. Takes any bytes. */
#ifndef MLVPND_INNER_H
#define MLVPND_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INNER_LONGEST_NAME = 40 };

/* Where the IP packet in a frame begins, behind one VLAN tag at most; 0: there is none. */
size_t inner_in_frame(const uint8_t *data, size_t size);
/* The kind of an IP packet, or of a frame with `layer2`, and the key of its flow. */
enum inner_kind inner_classify(const uint8_t *data, size_t size, bool layer2, uint32_t *flow);
/* Writes the name of a TCP segment with payload. Returns the name's bytes; 0 for all else. */
size_t inner_segment(const uint8_t *data, size_t size, bool layer2, uint8_t name[INNER_LONGEST_NAME]);
/* Bytes of the IP packet or Ethernet frame at the start of a DATA's payload; 0: there is none. */
size_t inner_packet_from(const uint8_t *data, size_t size, bool layer2);

#endif
