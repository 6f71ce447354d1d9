/* Twin of mlvpnd/offload/coalesce.py: packets for an interface with a vnet header, joined to super-packets.

   coalescer_take sorts packets into frames. coalescer_next gives one frame after the other as the parts of a writev:
   the first packet with its headers changed, and the other packets' payloads where they lie. */
#ifndef MLVPND_COALESCE_H
#define MLVPND_COALESCE_H

#include <sys/uio.h>

#include "wire/packet.h"

enum {
    COALESCE_RUNS = 16,     /* flows that are joined at a time */
    COALESCE_FRAMES = 256,  /* frames of one batch */
    COALESCE_SEGMENTS = 64, /* packets of one super-packet */
    COALESCE_PARTS = COALESCE_SEGMENTS + 1,
    COALESCE_KEY = 18 + 1 + 36, /* bytes: an Ethernet header with a tag, protocol, addresses and ports */
};

/* What is written at once: a packet as it is, or those of a run. */
struct coalesce_frame {
    struct packet_list packets;
    uint16_t start, transport, payload; /* where the IP header, the next header and the payload begin */
    uint16_t segment_size;              /* bytes of payload in each packet but the last */
    uint32_t length;                    /* bytes as an IP packet */
    uint32_t seq;                       /* of the first packet, as are the next five */
    uint16_t ident;
    uint8_t protocol;
    bool is_ipv4;
    bool is_last;        /* PSH: nothing may follow it */
    bool may_keep_ident; /* Don't Fragment: the identification means nothing (RFC 6864) */
    uint8_t step;        /* growth of IP's identification from packet to packet */
    enum { COALESCE_UNKNOWN, COALESCE_WRONG, COALESCE_RIGHT } checksums;
    uint8_t key_size;
    uint8_t key[COALESCE_KEY];
};

struct coalescer {
    bool uso, layer2;
    uint64_t merged_frames, merged_packets;
    uint8_t vnet[10];            /* header of the last frame given */
    unsigned frame_count, given; /* frames of this batch; how many coalescer_next has given */
    unsigned run_count;
    struct coalesce_frame *runs[COALESCE_RUNS]; /* frames that may still grow, the oldest first */
    struct coalesce_frame frames[COALESCE_FRAMES];
};

/* `uso`: the kernel takes super-packets of UDP. `layer2`: packets are Ethernet frames. */
void coalescer_begin(struct coalescer *coalescer, bool uso, bool layer2);
/* Takes packets off the list, in order, until it is empty or the batch has all its frames. Borrowed packets must stay
   in place until the last frame is given. */
void coalescer_take(struct coalescer *coalescer, struct packet_list *packets);
/* Writes the parts of the next frame (COALESCE_PARTS at most, vnet header first), and returns how many. 0: no frame is
   left, and the next batch may be taken. Parts hold until the next call. */
size_t coalescer_next(struct coalescer *coalescer, struct iovec *parts);
/* Frees all packets that are still here. */
void coalescer_clear(struct coalescer *coalescer);

#endif
