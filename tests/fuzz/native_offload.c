/* Coverage-guided fuzzing of the native twin's super-packets with libFuzzer: `make fuzz-offload`, or
   `make fuzz-offload FUZZ="-max_total_time=600 CORPUS_DIRECTORY"`; the options are libFuzzer's.

   An input is a byte of choices, then one of two things. One read of the interface: it is split, and the packets are
   joined. Or packets with a byte of choices each: they are joined, and the frames are split. It ends with what the
   sanitizers find, or with the first input that loses a byte: joined packets must come out with all their payload. */
#include <stdio.h>
#include <stdlib.h>

#include "offload/checksum.h"
#include "offload/coalesce.h"
#include "offload/segment.h"
#include "offload/vnet.h"

enum { LAYER2 = 1, USO = 2, JOIN = 4 };                               /* choices for all */
enum { AGAIN = 8, FIX = 16, FOLLOW = 32, IPV6 = 64, DATAGRAM = 128 }; /* choices for a packet, or the one read */
enum { FRAME_LIMIT = VNET_SIZE + 18 + 2 * 65535 };

static struct coalescer coalescer;
static uint8_t frame[FRAME_LIMIT];
static struct packet *kept[SEGMENT_LIMIT];

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    abort();
}

/* Bytes of the headers before the payload, as fix() makes them. */
static size_t headers_size(size_t start, int choices) {
    return start + (choices & IPV6 ? IPV6_HEADER : IPV4_HEADER) + (choices & DATAGRAM ? UDP_HEADER : TCP_HEADER);
}

/* Makes the lengths, types and checksums of a plain packet right, so that the fuzzer gets past them. */
static void fix(uint8_t *data, size_t size, size_t start, int choices) {
    if (size < headers_size(start, choices))
        return;
    bool is_ipv6 = choices & IPV6;
    uint8_t protocol = choices & DATAGRAM ? UDP : TCP;
    uint8_t *ip = data + start, *transport = ip + (is_ipv6 ? IPV6_HEADER : IPV4_HEADER);
    size_t length = size - (size_t)(transport - data);
    if (start)
        put_be16(data + 12, is_ipv6 ? 0x86dd : 0x0800);
    if (is_ipv6) {
        ip[0] = 0x60 | (ip[0] & 0xf);
        put_be16(ip + 4, (uint16_t)length);
        ip[6] = protocol;
    } else {
        ip[0] = 0x45;
        put_be16(ip + 2, (uint16_t)(length + IPV4_HEADER));
        ip[6] &= 0x40;
        ip[7] = 0;
        ip[9] = protocol;
        put_be16(ip + 10, checksum_ipv4(ip, IPV4_HEADER));
    }
    uint8_t *field = transport + (protocol == TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
    if (protocol == TCP)
        transport[12] = 5 << 4;
    else
        put_be16(transport + 4, (uint16_t)length);
    put_be16(field, 0);
    uint64_t sum = checksum_pseudo(is_ipv6 ? ip + 8 : ip + 12, is_ipv6 ? 32 : 8, protocol, (uint32_t)length);
    uint16_t value = checksum_of(sum + checksum_sum(transport, length));
    put_be16(field, value || protocol == TCP ? value : 0xffff);
}

/* Makes `packet` the next one behind `before` in its flow. */
static void follow(struct packet *packet, const struct packet *before, size_t start, int choices) {
    size_t headers = headers_size(start, choices);
    if (packet->size < headers || before->size < headers)
        return;
    memcpy(packet->data, before->data, headers);
    uint8_t *ip = packet->data + start, *tcp = packet->data + headers - TCP_HEADER;
    if (!(choices & IPV6))
        put_be16(ip + 4, (uint16_t)(be16_at(ip + 4) + 1));
    if (!(choices & DATAGRAM))
        put_be32(tcp + 4, be32_at(tcp + 4) + (uint32_t)(before->size - headers));
}

static size_t payload_bytes(const struct packet_list *list) {
    size_t bytes = 0;
    for (const struct packet *packet = list->first; packet; packet = packet->next)
        bytes += packet->size;
    return bytes;
}

/* The same packets, borrowed, in memory of exactly their size, so that a read beyond the end is seen. */
static void borrow(struct packet_list *packets, struct packet_list *borrowed) {
    for (const struct packet *packet = packets->first; packet; packet = packet->next) {
        struct packet *copy = calloc(1, sizeof *copy);
        uint8_t *data = malloc(packet->size);
        if (!copy || !data)
            fail("no memory");
        memcpy(data, packet->data, packet->size);
        copy->data = data;
        copy->size = packet->size;
        packet_list_push(borrowed, copy);
    }
    packet_list_free(packets);
}

/* Joins packets, and splits each frame. As many packets and bytes must come out. */
static void join(struct packet_list *packets, int choices) {
    struct iovec parts[COALESCE_PARTS];
    struct packet_list out = {0};
    size_t count = packets->count, bytes = payload_bytes(packets);
    struct packet_list borrowed = {0};
    borrow(packets, &borrowed);
    size_t kept_count = 0;
    for (struct packet *packet = borrowed.first; packet; packet = packet->next)
        kept[kept_count++] = packet;
    coalescer_begin(&coalescer, choices & USO, choices & LAYER2);
    while (borrowed.count) {
        coalescer_take(&coalescer, &borrowed);
        size_t part_count;
        while ((part_count = coalescer_next(&coalescer, parts))) {
            size_t size = 0;
            if (part_count > COALESCE_PARTS)
                fail("too many parts");
            for (size_t number = 0; number < part_count; number++) {
                if (parts[number].iov_len > sizeof frame - size)
                    fail("a frame without end");
                memcpy(frame + size, parts[number].iov_base, parts[number].iov_len);
                size += parts[number].iov_len;
            }
            int made = segment_frame(frame, frame + VNET_SIZE, size - VNET_SIZE, choices & LAYER2, &out);
            if (made != (int)part_count - 1)
                fail("a frame that cannot be split as it was joined");
        }
    }
    if (out.count != count || payload_bytes(&out) != bytes)
        fail("joined and split, but not what it was");
    packet_list_free(&out);
    while (kept_count) {
        struct packet *packet = kept[--kept_count];
        free(packet->data);
        free(packet);
    }
}

static void read_packets(const uint8_t *data, size_t size, size_t start, struct packet_list *packets) {
    while (size >= 2 && packets->count < 400) {
        int choices = data[0];
        size_t length = data[1];
        data += 2;
        size -= 2;
        const struct packet *before = packets->last;
        struct packet *packet;
        if (choices & AGAIN && before) {
            packet = packet_copy(before->data, before->size);
        } else {
            if (length > size)
                length = size;
            if (!length)
                continue;
            packet = packet_copy(data, length);
            data += length;
            size -= length;
        }
        if (choices & FOLLOW && before)
            follow(packet, before, start, choices);
        if (choices & FIX)
            fix(packet->data, packet->size, start, choices);
        packet_list_push(packets, packet);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    int choices = data[0];
    size_t start = choices & LAYER2 ? ETHERNET_HEADER : 0;
    struct packet_list packets = {0};
    if (choices & JOIN) {
        read_packets(data + 1, size - 1, start, &packets);
    } else {
        /* In memory of its own, so that a read beyond the end is seen. */
        if (size < 1 + VNET_SIZE)
            return 0;
        size_t length = size - 1 - VNET_SIZE;
        uint8_t *copy = malloc(length ? length : 1);
        if (!copy)
            return 0;
        memcpy(copy, data + 1 + VNET_SIZE, length);
        if (choices & FIX)
            fix(copy, length, start, choices);
        int count = segment_frame(data + 1, copy, length, choices & LAYER2, &packets);
        if (count != (packets.count ? (int)packets.count : -1))
            fail("a wrong count");
        free(copy);
    }
    join(&packets, choices);
    packet_trim(); /* so that a packet used after it was freed is seen */
    return 0;
}
