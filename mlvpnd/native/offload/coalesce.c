#include "offload/coalesce.h"

#include "offload/checksum.h"
#include "offload/vnet.h"

/* What a packet is to its flow. */
enum look {
    NO_FLOW,  /* its flow is never joined */
    ANY_FLOW, /* its flow cannot be told */
    APART,    /* of the flow in `key`, but not to be joined */
    SEGMENT,  /* may be joined */
};

void coalescer_begin(struct coalescer *coalescer, bool uso, bool layer2) {
    coalescer->uso = uso;
    coalescer->layer2 = layer2;
    coalescer->merged_frames = coalescer->merged_packets = 0;
    coalescer->frame_count = coalescer->given = coalescer->run_count = 0;
}

void coalescer_clear(struct coalescer *coalescer) {
    for (unsigned number = coalescer->given ? coalescer->given - 1 : 0; number < coalescer->frame_count; number++)
        packet_list_free(&coalescer->frames[number].packets);
    coalescer->frame_count = coalescer->given = coalescer->run_count = 0;
}

/* Whether this is a TCP segment that brings data and nothing else. */
static bool coalesce_look_at_tcp(const uint8_t *data, size_t size, struct coalesce_frame *frame) {
    if (size < (size_t)frame->transport + TCP_HEADER)
        return false;
    const uint8_t *tcp = data + frame->transport;
    size_t header = (size_t)(tcp[12] >> 4) << 2, payload = frame->transport + header;
    if (tcp[12] & 0xf || header < TCP_HEADER || payload >= size || (tcp[TCP_FLAGS] & ~PSH) != ACK)
        return false;
    frame->payload = (uint16_t)payload;
    frame->seq = be32_at(tcp + 4);
    frame->is_last = tcp[TCP_FLAGS] & PSH;
    return true;
}

/* Whether this is a UDP datagram with data and a checksum. */
static bool coalesce_look_at_udp(const uint8_t *data, size_t size, struct coalesce_frame *frame) {
    if (size <= (size_t)frame->transport + UDP_HEADER)
        return false;
    const uint8_t *udp = data + frame->transport;
    if (be16_at(udp + 4) != size - frame->transport || !be16_at(udp + UDP_CHECKSUM))
        return false;
    frame->payload = (uint16_t)(frame->transport + UDP_HEADER);
    frame->seq = 0;
    frame->is_last = false;
    return true;
}

static void coalesce_set_key(struct coalesce_frame *frame, const uint8_t *data, size_t addresses) {
    size_t size = frame->transport + 4 - addresses; /* with the ports */
    memcpy(frame->key, data, frame->start);
    frame->key[frame->start] = frame->protocol;
    memcpy(frame->key + frame->start + 1, data + addresses, size);
    frame->key_size = (uint8_t)(frame->start + 1 + size);
}

/* Reads an IPv4 header: its length field, and its fields for `frame`. */
static enum look coalesce_look_at_ipv4(const struct coalescer *coalescer, const uint8_t *data, size_t size,
                                       struct coalesce_frame *frame, size_t *length) {
    const uint8_t *ip = data + frame->start;
    frame->transport = frame->start + IPV4_HEADER;
    if (size < (size_t)frame->transport + 4)
        return ANY_FLOW;
    frame->protocol = ip[9];
    if (frame->protocol != TCP && !(frame->protocol == UDP && coalescer->uso))
        return NO_FLOW;
    if (ip[0] != 0x45 || ip[6] & 0xbf || ip[7]) /* options, or a fragment */
        return ANY_FLOW;
    *length = be16_at(ip + 2);
    frame->is_ipv4 = true;
    frame->ident = be16_at(ip + 4);
    frame->may_keep_ident = ip[6] == 0x40;
    coalesce_set_key(frame, data, frame->start + 12u);
    return SEGMENT;
}

static enum look coalesce_look_at_ipv6(const struct coalescer *coalescer, const uint8_t *data, size_t size,
                                       struct coalesce_frame *frame, size_t *length) {
    const uint8_t *ip = data + frame->start;
    frame->transport = frame->start + IPV6_HEADER;
    if (size < (size_t)frame->transport + 4 || ip[0] >> 4 != 6)
        return ANY_FLOW;
    frame->protocol = ip[6];
    switch (frame->protocol) { /* extension headers: TCP or UDP may follow */
    case 0:
    case 43:
    case 44:
    case 51:
    case 60:
        return ANY_FLOW;
    }
    if (frame->protocol != TCP && !(frame->protocol == UDP && coalescer->uso))
        return NO_FLOW;
    *length = (size_t)IPV6_HEADER + be16_at(ip + 4);
    frame->is_ipv4 = false;
    frame->ident = 0;
    frame->may_keep_ident = true;
    coalesce_set_key(frame, data, frame->start + 8u);
    return SEGMENT;
}

/* What a packet is; its fields go into `frame`. */
static enum look coalesce_look_at(const struct coalescer *coalescer, const struct packet *packet,
                                  struct coalesce_frame *frame) {
    const uint8_t *data = packet->data;
    size_t size = packet->size, start = 0, length = 0;
    int version = size ? data[0] >> 4 : 0;
    if (coalescer->layer2)
        version = ethernet_version(data, size, &start);
    frame->start = (uint16_t)start;
    enum look look = version == 4   ? coalesce_look_at_ipv4(coalescer, data, size, frame, &length)
                     : version == 6 ? coalesce_look_at_ipv6(coalescer, data, size, frame, &length)
                                    : NO_FLOW;
    if (look != SEGMENT)
        return look;
    if (length != size - start)
        return APART;
    if (!(frame->protocol == TCP ? coalesce_look_at_tcp : coalesce_look_at_udp)(data, size, frame))
        return APART;
    frame->segment_size = (uint16_t)(size - frame->payload);
    frame->length = (uint32_t)length;
    frame->step = 1;
    frame->checksums = COALESCE_UNKNOWN;
    return SEGMENT;
}

/* Whether the checksums of IP and of TCP or UDP are as a sender writes them. Of the two zeros, a sender writes one.
   With the other, a packet would not come out of a super-packet as it was. */
static bool coalesce_are_right(const struct packet *packet, const struct coalesce_frame *frame) {
    const uint8_t *ip = packet->data + frame->start, *transport = packet->data + frame->transport;
    size_t size = packet->size - frame->transport, addresses = frame->is_ipv4 ? 12 : 8;
    if (frame->is_ipv4 && (checksum_sum(ip, IPV4_HEADER) || be16_at(ip + 10) == 0xffff))
        return false;
    if (frame->protocol == TCP && be16_at(transport + TCP_CHECKSUM) == 0xffff)
        return false;
    /* The addresses and all behind them are side by side. */
    uint64_t sum = checksum_sum(ip + addresses, packet->size - frame->start - addresses);
    return (sum + frame->protocol + size) % CHECKSUM_MODULUS == 0;
}

static bool coalesce_verify(struct coalesce_frame *frame, const struct packet *packet) {
    if (frame->checksums == COALESCE_UNKNOWN)
        frame->checksums = coalesce_are_right(packet, frame) ? COALESCE_RIGHT : COALESCE_WRONG;
    return frame->checksums == COALESCE_RIGHT;
}

static inline bool coalesce_same(const uint8_t *one, const uint8_t *other, size_t from, size_t end) {
    return memcmp(one + from, other + from, end - from) == 0;
}

/* Whether the headers are the same, except for the key's fields, lengths, identification, sequence number, flags and
   checksums. */
static bool coalesce_are_alike(const struct packet *first, const struct packet *packet,
                               const struct coalesce_frame *frame) {
    const uint8_t *one = first->data + frame->start, *other = packet->data + frame->start;
    bool alike = frame->is_ipv4 ? coalesce_same(one, other, 0, 2) && coalesce_same(one, other, 6, 9)
                                : coalesce_same(one, other, 0, 4) && one[7] == other[7];
    if (!alike)
        return false;
    if (frame->protocol == UDP)
        return true;
    one = first->data + frame->transport;
    other = packet->data + frame->transport;
    return coalesce_same(one, other, 8, 13) && coalesce_same(one, other, 14, 16) &&
           coalesce_same(one, other, 18, (size_t)(frame->payload - frame->transport));
}

/* Puts `packet`, whose fields are in `fields`, behind the others of `run` if it belongs there; whether it does. */
static bool coalesce_add(struct coalesce_frame *run, struct packet *packet, struct coalesce_frame *fields) {
    size_t count = run->packets.count;
    uint32_t size = fields->segment_size;
    if (!coalesce_are_alike(run->packets.first, packet, run) || size > run->segment_size ||
        count >= COALESCE_SEGMENTS || run->length + size > COALESCE_IP_LIMIT)
        return false;
    if (run->protocol == TCP && fields->seq != (uint32_t)(run->seq + count * run->segment_size))
        return false;
    uint8_t step = run->step;
    if (count == 1 && fields->may_keep_ident && fields->ident == run->ident)
        step = 0;
    if (fields->ident != (uint16_t)(run->ident + count * step) || !coalesce_verify(run, run->packets.first) ||
        !coalesce_verify(fields, packet))
        return false;
    run->step = step;
    run->length += size;
    packet_list_push(&run->packets, packet);
    return true;
}

static int coalesce_find_run(const struct coalescer *coalescer, const struct coalesce_frame *fields) {
    for (unsigned number = 0; number < coalescer->run_count; number++) {
        const struct coalesce_frame *run = coalescer->runs[number];
        if (run->key_size == fields->key_size && memcmp(run->key, fields->key, run->key_size) == 0)
            return (int)number;
    }
    return -1;
}

/* The run grows no more. The other runs stay in order, the oldest first. */
static void coalesce_close_run(struct coalescer *coalescer, unsigned number) {
    coalescer->run_count--;
    memmove(coalescer->runs + number, coalescer->runs + number + 1,
            (coalescer->run_count - number) * sizeof *coalescer->runs);
}

/* Puts one packet into a frame; `frame` is the next free one. */
static void coalesce_take(struct coalescer *coalescer, struct packet *packet, struct coalesce_frame *frame) {
    enum look look = coalesce_look_at(coalescer, packet, frame);
    int number = -1;
    if (look == ANY_FLOW)
        coalescer->run_count = 0;
    else if (look != NO_FLOW)
        number = coalesce_find_run(coalescer, frame);
    if (number >= 0) {
        struct coalesce_frame *run = coalescer->runs[number];
        if (look == SEGMENT && coalesce_add(run, packet, frame)) {
            if (frame->is_last || frame->segment_size < run->segment_size)
                coalesce_close_run(coalescer, (unsigned)number);
            return;
        }
        coalesce_close_run(coalescer, (unsigned)number);
    }
    frame->packets = (struct packet_list){0};
    packet_list_push(&frame->packets, packet);
    coalescer->frame_count++;
    if (look != SEGMENT || frame->is_last)
        return;
    if (coalescer->run_count == COALESCE_RUNS)
        coalesce_close_run(coalescer, 0);
    coalescer->runs[coalescer->run_count++] = frame;
}

void coalescer_take(struct coalescer *coalescer, struct packet_list *packets) {
    struct packet *packet;
    while (coalescer->frame_count < COALESCE_FRAMES && (packet = packet_list_pop(packets)))
        coalesce_take(coalescer, packet, &coalescer->frames[coalescer->frame_count]);
    coalescer->run_count = 0; /* later packets begin new runs */
}

/* Changes the first packet's headers to the whole run's, and makes the vnet header. */
static void coalesce_finish(struct coalescer *coalescer, struct coalesce_frame *run) {
    uint8_t *ip = run->packets.first->data + run->start, *transport = run->packets.first->data + run->transport;
    uint16_t header = run->transport - run->start;
    uint16_t length = (uint16_t)(run->length - header);
    uint8_t kind = run->is_ipv4 ? GSO_TCPV4 : GSO_TCPV6;
    uint16_t csum_offset = TCP_CHECKSUM;
    uint32_t sum;
    if (run->is_ipv4) {
        put_be16(ip + 2, (uint16_t)run->length);
        put_be16(ip + 10, checksum_ipv4(ip, header));
        sum = checksum_pseudo(ip + 12, 8, run->protocol, length);
    } else {
        put_be16(ip + 4, length);
        sum = checksum_pseudo(ip + 8, 32, run->protocol, length);
    }
    if (run->protocol == TCP) {
        transport[TCP_FLAGS] |= run->packets.last->data[run->transport + TCP_FLAGS];
    } else {
        put_be16(transport + 4, length);
        csum_offset = UDP_CHECKSUM;
        kind = GSO_UDP;
    }
    put_be16(transport + csum_offset, (uint16_t)sum);
    struct vnet vnet = {NEEDS_CSUM, kind, run->payload, run->segment_size, run->transport, csum_offset};
    memcpy(coalescer->vnet, &vnet, sizeof vnet);
}

size_t coalescer_next(struct coalescer *coalescer, struct iovec *parts) {
    if (coalescer->given)
        packet_list_free(&coalescer->frames[coalescer->given - 1].packets);
    if (coalescer->given == coalescer->frame_count) {
        coalescer->frame_count = coalescer->given = 0;
        return 0;
    }
    struct coalesce_frame *frame = &coalescer->frames[coalescer->given++];
    struct packet *packet = frame->packets.first;
    memset(coalescer->vnet, 0, sizeof coalescer->vnet);
    if (packet->next) {
        coalesce_finish(coalescer, frame);
        coalescer->merged_frames++;
        coalescer->merged_packets += frame->packets.count;
    }
    size_t count = 0;
    parts[count++] = (struct iovec){coalescer->vnet, VNET_SIZE};
    parts[count++] = (struct iovec){packet->data, packet->size};
    while ((packet = packet->next))
        parts[count++] = (struct iovec){packet->data + frame->payload, packet->size - frame->payload};
    return count;
}
