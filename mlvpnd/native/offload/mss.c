#include "offload/mss.h"

#include "offload/vnet.h"

static inline uint16_t mss_swapped(uint16_t word) {
    return (uint16_t)(word << 8 | word >> 8);
}

/* Where TCP begins; 0: another protocol, a fragment, or cut. */
static size_t mss_ipv4_tcp(const uint8_t *data, size_t start) {
    const uint8_t *ip = data + start;
    size_t header = (size_t)(ip[0] & 0xf) << 2;
    return ip[9] == TCP && header >= IPV4_HEADER && !(ip[6] & 0x3f) && !ip[7] ? start + header : 0;
}

static size_t mss_ipv6_tcp(const uint8_t *data, size_t size, size_t start) {
    size_t at = start + IPV6_HEADER;
    if (size < at)
        return 0;
    uint8_t protocol = data[start + 6];
    /* Hop-by-hop options, routing, destination options (RFC 8200). */
    while ((protocol == 0 || protocol == 43 || protocol == 60) && at + 8 <= size) {
        protocol = data[at];
        at += 8 + 8 * (size_t)data[at + 1];
    }
    return protocol == TCP ? at : 0;
}

/* Lowers the size in `field`, and corrects the checksum of the TCP header by the difference (RFC 1624). */
static void mss_lower(uint8_t *tcp, size_t field, uint16_t limit) {
    uint16_t before = be16_at(tcp + field), after = limit;
    if (before <= limit)
        return;
    put_be16(tcp + field, limit);
    if (field & 1) { /* its halves belong to two words of the sum */
        before = mss_swapped(before);
        after = mss_swapped(after);
    }
    uint32_t rest = (uint32_t)(0xffff - be16_at(tcp + TCP_CHECKSUM)) + (0xffffu - before) + after;
    while (rest > 0xffff)
        rest = (rest & 0xffff) + (rest >> 16);
    put_be16(tcp + TCP_CHECKSUM, (uint16_t)(0xffff - rest));
}

void mss_clamp(uint8_t *data, size_t size, bool layer2, const struct mss_limits *limits) {
    size_t start = 0;
    int told = 0;
    if (layer2 && !(told = ethernet_version(data, size, &start)))
        return;
    if (size < start + IPV4_HEADER)
        return;
    int version = data[start] >> 4;
    if ((version != 4 && version != 6) || (told && told != version))
        return;
    uint16_t limit = version == 4 ? limits->ipv4 : limits->ipv6;
    size_t transport = version == 4 ? mss_ipv4_tcp(data, start) : mss_ipv6_tcp(data, size, start);
    if (!limit || !transport || size < transport + TCP_HEADER)
        return;
    uint8_t *tcp = data + transport;
    size_t end = (size_t)(tcp[12] >> 4) << 2;
    if (!(tcp[TCP_FLAGS] & SYN) || end > size - transport)
        return;
    size_t at = TCP_HEADER;
    while (at + 1 < end && tcp[at] != MSS_END) {
        if (tcp[at] == MSS_NO_OPERATION) {
            at++;
            continue;
        }
        size_t length = tcp[at + 1];
        if (length < 2 || at + length > end)
            break;
        if (tcp[at] == MSS_MAXIMUM_SEGMENT_SIZE && length == MSS_OPTION_SIZE)
            mss_lower(tcp, at + 2, limit);
        at += length;
    }
}
