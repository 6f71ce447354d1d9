/* Twin of mlvpnd/offload/mss.py: the maximum segment size in TCP's SYNs, lowered to what the interface takes. */
#ifndef MLVPND_MSS_H
#define MLVPND_MSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a segment behind the IP and TCP headers; 0: not lowered. */
struct mss_limits {
    uint16_t ipv4, ipv6;
};

/* Lowers the option of a SYN in a packet (with `layer2`, a frame), in place; leaves all else. */
void mss_clamp(uint8_t *data, size_t size, bool layer2, const struct mss_limits *limits);

#endif
