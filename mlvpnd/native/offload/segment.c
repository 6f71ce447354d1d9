#include "offload/segment.h"

#include "offload/checksum.h"
#include "offload/vnet.h"

/* Where the parts of a super-packet begin, and what they are. */
struct layout {
    size_t start;     /* IP's header */
    size_t transport; /* TCP's or UDP's */
    size_t payload;
    int version;
    uint8_t protocol;
};

static int segment_push_copy(struct packet_list *out, const uint8_t *data, size_t size) {
    struct packet *packet = packet_copy(data, size);
    if (!packet)
        return -1;
    packet_list_push(out, packet);
    return 1;
}

/* Puts a copy behind `out`, with the checksum over all from `start` on at `offset` bytes behind `start`. */
static int segment_push_with_checksum(struct packet_list *out, const uint8_t *data, size_t size, size_t start,
                                      size_t offset) {
    size_t field = start + offset;
    if (field + 2 > size)
        return -1;
    uint16_t value = checksum_of(checksum_sum(data + start, size - start));
    if (!value && offset == UDP_CHECKSUM)
        value = 0xffff;
    if (segment_push_copy(out, data, size) < 0)
        return -1;
    put_be16(out->last->data + field, value);
    return 1;
}

/* Whether `kind` is one of the kernel's super-packets; `wanted` gets its version (0: any) and protocol. */
static bool segment_kind_of(uint8_t kind, struct layout *wanted) {
    switch (kind) {
    case GSO_TCPV4:
    case GSO_TCPV4 | GSO_ECN:
        *wanted = (struct layout){.version = 4, .protocol = TCP};
        return true;
    case GSO_TCPV6:
    case GSO_TCPV6 | GSO_ECN:
        *wanted = (struct layout){.version = 6, .protocol = TCP};
        return true;
    case GSO_UDP:
        *wanted = (struct layout){.protocol = UDP};
        return true;
    default:
        return false;
    }
}

static bool segment_find_network(const uint8_t *data, size_t size, bool layer2, struct layout *layout) {
    int told = 0;
    layout->start = 0;
    if (layer2) {
        told = ethernet_version(data, size, &layout->start);
        if (!told)
            return false;
    }
    if (size <= layout->start)
        return false;
    layout->version = data[layout->start] >> 4;
    return !told || told == layout->version;
}

/* Finds the transport header and the payload. False: a fragment, or lengths that are not true. */
static bool segment_find_transport(const uint8_t *data, size_t size, struct layout *layout) {
    const uint8_t *ip = data + layout->start;
    size_t length = size - layout->start;
    if (layout->version == 4 && length >= IPV4_HEADER) {
        size_t header = (size_t)(ip[0] & 0xf) << 2;
        layout->transport = layout->start + header;
        layout->protocol = ip[9];
        return header >= IPV4_HEADER && be16_at(ip + 2) == length && !(ip[6] & 0x3f) && !ip[7];
    }
    if (layout->version == 6 && length >= IPV6_HEADER) {
        layout->transport = layout->start + IPV6_HEADER;
        layout->protocol = ip[6];
        if ((size_t)IPV6_HEADER + be16_at(ip + 4) != length)
            return false;
        /* Hop-by-hop and destination options (RFC 8200) may stand before TCP or UDP. */
        while ((layout->protocol == 0 || layout->protocol == 60) && layout->transport + 8 <= size) {
            const uint8_t *options = data + layout->transport;
            layout->protocol = options[0];
            layout->transport += 8 + 8 * (size_t)options[1];
        }
        return true;
    }
    return false;
}

static bool segment_find_payload(const uint8_t *data, size_t size, struct layout *layout) {
    if (layout->protocol == UDP) {
        layout->payload = layout->transport + UDP_HEADER;
    } else {
        if (layout->transport + TCP_HEADER > size)
            return false;
        size_t header = (size_t)(data[layout->transport + 12] >> 4) << 2;
        if (header < TCP_HEADER)
            return false;
        layout->payload = layout->transport + header;
    }
    return layout->payload < size;
}

/* The sum of the transport and pseudo headers, without the fields that differ between segments. */
static uint64_t segment_common_sum(const uint8_t *data, const struct layout *layout) {
    const uint8_t *ip = data + layout->start, *transport = data + layout->transport;
    uint64_t sum = layout->version == 4 ? checksum_pseudo(ip + 12, 8, layout->protocol, 0)
                                        : checksum_pseudo(ip + 8, 32, layout->protocol, 0);
    if (layout->protocol == UDP)
        return sum + checksum_sum(transport, 4);
    sum += checksum_sum(transport, 4) + checksum_sum(transport + 8, 4) + ((uint64_t)transport[12] << 8);
    sum += checksum_sum(transport + 14, 2);
    return sum + checksum_sum(transport + 18, layout->payload - layout->transport - 18);
}

/* Writes the differing fields into segment `number`'s IP header; `length`: bytes of transport header and payload. */
static void segment_finish_network(uint8_t *ip, const struct layout *layout, uint32_t number, size_t length) {
    size_t header = layout->transport - layout->start;
    if (layout->version == 4) {
        put_be16(ip + 2, (uint16_t)(header + length));
        put_be16(ip + 4, (uint16_t)(be16_at(ip + 4) + number));
        put_be16(ip + 10, checksum_ipv4(ip, header));
    } else {
        put_be16(ip + 4, (uint16_t)(header - IPV6_HEADER + length));
    }
}

/* The same for TCP. `passed` bytes of payload are in the segments before. PSH and FIN go into the last segment, CWR
   into the first (RFC 3168 §6.1.2). */
static void segment_finish_tcp(uint8_t *tcp, uint32_t passed, bool is_last, uint64_t sum) {
    uint32_t seq = be32_at(tcp + 4) + passed;
    uint8_t flags = tcp[TCP_FLAGS];
    if (passed)
        flags &= (uint8_t)~CWR;
    if (!is_last)
        flags &= (uint8_t)~(PSH | FIN);
    put_be32(tcp + 4, seq);
    tcp[TCP_FLAGS] = flags;
    put_be16(tcp + TCP_CHECKSUM, checksum_of(sum + (seq >> 16) + (seq & 0xffff) + flags));
}

static void segment_finish_udp(uint8_t *udp, size_t length, uint64_t sum) {
    uint16_t value = checksum_of(sum + length);
    put_be16(udp + 4, (uint16_t)length);
    put_be16(udp + UDP_CHECKSUM, value ? value : 0xffff); /* 0 would mean that there is none */
}

static int segment_split(const uint8_t *data, size_t size, const struct layout *layout, size_t gso_size,
                         struct packet_list *out) {
    struct packet_list segments = {0};
    uint64_t common = segment_common_sum(data, layout);
    for (size_t begin = layout->payload; begin < size; begin += gso_size) {
        bool is_last = size - begin <= gso_size;
        size_t part = is_last ? size - begin : gso_size;
        struct packet *packet = packet_new(layout->payload + part);
        if (!packet) {
            packet_list_free(&segments);
            return -1;
        }
        memcpy(packet->data, data, layout->payload);
        memcpy(packet->data + layout->payload, data + begin, part);
        size_t length = layout->payload - layout->transport + part;
        segment_finish_network(packet->data + layout->start, layout, (uint32_t)segments.count, length);
        uint64_t sum = common + length + checksum_sum(packet->data + layout->payload, part);
        uint8_t *transport = packet->data + layout->transport;
        if (layout->protocol == TCP)
            segment_finish_tcp(transport, (uint32_t)(begin - layout->payload), is_last, sum);
        else
            segment_finish_udp(transport, length, sum);
        packet_list_push(&segments, packet);
    }
    int count = (int)segments.count;
    packet_list_join(out, &segments);
    return count;
}

int segment_frame(const uint8_t *header, const uint8_t *data, size_t size, bool layer2, struct packet_list *out) {
    struct vnet vnet;
    memcpy(&vnet, header, sizeof vnet);
    if (!size)
        return -1;
    if (vnet.kind == GSO_NONE) {
        if (vnet.flags & NEEDS_CSUM)
            return segment_push_with_checksum(out, data, size, vnet.csum_start, vnet.csum_offset);
        return segment_push_copy(out, data, size);
    }
    struct layout wanted, layout = {0};
    if (!segment_kind_of(vnet.kind, &wanted) || !vnet.gso_size || !segment_find_network(data, size, layer2, &layout) ||
        !segment_find_transport(data, size, &layout))
        return -1;
    if (layout.protocol != wanted.protocol || (wanted.version && layout.version != wanted.version))
        return -1;
    if (!segment_find_payload(data, size, &layout) || size - layout.payload > (size_t)vnet.gso_size * SEGMENT_LIMIT)
        return -1;
    return segment_split(data, size, &layout, vnet.gso_size, out);
}
