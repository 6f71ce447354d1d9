#include "wire/inner.h"

#include <string.h>
#include <zlib.h>

#include "generated.h"

static inline unsigned inner_be16(const uint8_t *at) {
    return (unsigned)at[0] << 8 | at[1];
}

/* The checksum of bytes `from` to `to`, as far as they exist, begun with `value`. */
static inline uint32_t inner_crc(const uint8_t *data, size_t size, size_t from, size_t to, uint32_t value) {
    if (to > size)
        to = size;
    return from < to ? (uint32_t)crc32(value, data + from, (uInt)(to - from)) : value;
}

static enum inner_kind inner_not_ip(const uint8_t *data, size_t size, uint32_t *flow) {
    *flow = inner_crc(data, size, 0, ETHERNET_HEADER, 0);
    return size <= INNER_SMALL_SIZE ? INNER_SMALL : INNER_BULK;
}

size_t inner_in_frame(const uint8_t *data, size_t size) {
    size_t start = ETHERNET_HEADER;
    if (size < start)
        return 0;
    unsigned type = inner_be16(data + 12);
    if (type == 0x8100 || type == 0x88a8) {
        start += VLAN_TAG;
        if (size < start)
            return 0;
        type = inner_be16(data + start - 2);
    }
    return type == 0x0800 || type == 0x86dd ? start : 0;
}

/* The kind of a short TCP segment behind an IP header of `header` bytes. One with SYN, FIN or RST is BULK. */
static enum inner_kind inner_short_tcp(const uint8_t *data, size_t size, size_t header, size_t length) {
    if (size < header + TCP_HEADER)
        return INNER_BULK;
    unsigned flags = data[header + 13] & INNER_FLAGS;
    if (header + (data[header + 12] >> 4 << 2) == length)
        return flags == INNER_ACK_ONLY ? INNER_ACK : INNER_BULK;
    return (flags & ~(unsigned)INNER_PUSH) == INNER_ACK_ONLY ? INNER_SHORT : INNER_BULK;
}

enum inner_kind inner_classify(const uint8_t *data, size_t size, bool layer2, uint32_t *flow) {
    if (layer2) {
        size_t start = inner_in_frame(data, size);
        if (!start)
            return inner_not_ip(data, size, flow);
        data += start;
        size -= start;
    }
    if (size < IPV4_HEADER)
        return inner_not_ip(data, size, flow);
    unsigned first = data[0], protocol;
    size_t length;
    if (first >= 0x45 && first <= 0x4f) {
        protocol = data[9];
        if (data[6] & FRAGMENTS_MORE_FRAGMENTS_OR_OFFSET || data[7]) {
            *flow = inner_crc(data, size, 12, 20, protocol);
            return INNER_BULK;
        }
        length = inner_be16(data + 2);
        if (protocol == TCP || protocol == UDP) {
            size_t header = (first & 0xf) << 2;
            if (first == 0x45) /* addresses and ports are side by side */
                *flow = inner_crc(data, size, 12, 24, protocol);
            else
                *flow = inner_crc(data, size, header, header + 4, inner_crc(data, size, 12, 20, protocol));
            if (protocol == TCP)
                return length <= INNER_SMALL_SIZE ? inner_short_tcp(data, size, header, length) : INNER_BULK;
        } else {
            *flow = inner_crc(data, size, 12, 20, protocol);
        }
    } else if (first >> 4 == 6 && size >= IPV6_HEADER) {
        protocol = data[6];
        length = IPV6_HEADER + inner_be16(data + 4);
        bool ports = protocol == TCP || protocol == UDP;
        *flow = inner_crc(data, size, 8, ports ? 44 : 40, protocol);
        if (protocol == TCP)
            return length <= INNER_SMALL_SIZE ? inner_short_tcp(data, size, IPV6_HEADER, length) : INNER_BULK;
        /* Hop-by-hop options, routing, fragment, destination options: anything may follow. */
        if (protocol == 0 || protocol == 43 || protocol == 44 || protocol == 60)
            return INNER_BULK;
    } else {
        return inner_not_ip(data, size, flow);
    }
    return length <= INNER_SMALL_SIZE ? INNER_SMALL : INNER_BULK;
}

size_t inner_segment(const uint8_t *data, size_t size, bool layer2, uint8_t name[INNER_LONGEST_NAME]) {
    if (layer2) {
        size_t start = inner_in_frame(data, size);
        if (!start)
            return 0;
        data += start;
        size -= start;
    }
    if (size <= INNER_LONGEST_TCP_HEADERS)
        return 0;
    unsigned first = data[0];
    if (first >= 0x45 && first <= 0x4f) {
        if (data[9] != TCP || data[6] & FRAGMENTS_MORE_FRAGMENTS_OR_OFFSET || data[7])
            return 0;
        memcpy(name, data + 12, 8);
        memcpy(name + 8, data + ((first & 0xf) << 2), 8);
        return 16;
    }
    if (first >> 4 != 6 || data[6] != TCP)
        return 0;
    memcpy(name, data + 8, 40);
    return 40;
}

size_t inner_packet_from(const uint8_t *data, size_t size, bool layer2) {
    if (layer2)
        return size >= ETHERNET_HEADER ? size : 0;
    if (!size)
        return 0;
    size_t length, minimum;
    if (data[0] >> 4 == 4 && size >= IPV4_HEADER) {
        length = inner_be16(data + 2);
        minimum = IPV4_HEADER;
    } else if (data[0] >> 4 == 6 && size >= IPV6_HEADER) {
        length = IPV6_HEADER + inner_be16(data + 4);
        minimum = IPV6_HEADER;
    } else {
        return 0;
    }
    return minimum <= length && length <= size ? length : 0;
}
