/* The header before each packet of an interface with IFF_VNET_HDR, and the headers behind it. Names and numbers are as
   in mlvpnd/offload/vnet.py. Only for .c files, because the names are short. */
#ifndef MLVPND_VNET_H
#define MLVPND_VNET_H

#include <stdint.h>
#include <string.h>

#include "generated.h"

/* In the machine's byte order. */
struct vnet {
    uint8_t flags, kind;
    uint16_t headers_size, gso_size, csum_start, csum_offset;
};

_Static_assert(sizeof(struct vnet) == VNET_SIZE, "the kernel's layout has no padding");

static inline uint16_t be16_at(const uint8_t *data) {
    return (uint16_t)(data[0] << 8 | data[1]);
}

static inline uint32_t be32_at(const uint8_t *data) {
    return (uint32_t)be16_at(data) << 16 | be16_at(data + 2);
}

static inline void put_be16(uint8_t *data, uint16_t value) {
    data[0] = (uint8_t)(value >> 8);
    data[1] = (uint8_t)value;
}

static inline void put_be32(uint8_t *data, uint32_t value) {
    put_be16(data, (uint16_t)(value >> 16));
    put_be16(data + 2, (uint16_t)value);
}

/* The IP version that the Ethernet header of a frame of `size` bytes names; 0: none. `start`: where the IP header
   begins. One VLAN tag may stand before the type. */
static inline int ethernet_version(const uint8_t *frame, size_t size, size_t *start) {
    *start = ETHERNET_HEADER;
    if (size < ETHERNET_HEADER)
        return 0;
    uint16_t type = be16_at(frame + 12);
    if (type == 0x8100 || type == 0x88a8) {
        *start += VLAN_TAG;
        if (size < ETHERNET_HEADER + VLAN_TAG)
            return 0;
        type = be16_at(frame + 16);
    }
    return type == 0x0800 ? 4 : type == 0x86dd ? 6 : 0;
}

#endif
