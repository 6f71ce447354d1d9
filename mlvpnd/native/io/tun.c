#include "io/tun.h"

#include <errno.h>
#include <unistd.h>

#include "offload/segment.h"
#include "offload/vnet.h"

/* Lowers the maximum segment size in SYNs among these packets. */
static void tun_clamp(const struct tun_port *port, const struct packet_list *packets) {
    if (!port->mss.ipv4 && !port->mss.ipv6)
        return;
    for (const struct packet *packet = packets->first; packet; packet = packet->next)
        mss_clamp(packet->data, packet->size, port->layer2, &port->mss);
}

/* Whether the interface is still there: nothing waits, or the kernel has no memory for what waits. */
static bool tun_is_not_now(int error) {
    return error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

/* Whether a packet is longer than the MTU; an Ethernet header with a tag does not count. */
static bool tun_is_oversize(const struct tun_port *port, size_t size) {
    return port->mtu && size > port->mtu + (port->layer2 ? (size_t)ETHERNET_HEADER + VLAN_TAG : 0);
}

int tun_read(struct tun_port *port, struct packet_list *out) {
    ssize_t size = read(port->fd, port->buffer, sizeof port->buffer);
    if (size < 0)
        return tun_is_not_now(errno) ? 0 : -1;
    if (!port->has_vnet) {
        mss_clamp(port->buffer, (size_t)size, port->layer2, &port->mss);
        struct packet *packet = packet_copy(port->buffer, (size_t)size);
        port->packets_read++;
        port->bytes_read += (uint64_t)size;
        port->oversize += tun_is_oversize(port, (size_t)size);
        if (packet)
            packet_list_push(out, packet);
        return 1;
    }
    struct packet_list packets = {0};
    if (size < VNET_SIZE ||
        segment_frame(port->buffer, port->buffer + VNET_SIZE, (size_t)size - VNET_SIZE, port->layer2, &packets) < 0) {
        port->malformed++;
        return 1;
    }
    tun_clamp(port, &packets); /* the kernel's unfinished checksums are finished now */
    port->packets_read += packets.count;
    for (const struct packet *packet = packets.first; packet; packet = packet->next) {
        port->bytes_read += packet->size;
        port->oversize += tun_is_oversize(port, packet->size);
    }
    if (packets.count > 1) {
        port->tso_reads++;
        port->tso_segments += packets.count;
    }
    packet_list_join(out, &packets);
    return 1;
}

/* Counts lost packets: the interface is down, has no room, or does not take them for packets. */
static void tun_lose(struct tun_port *port, int error, uint64_t packets) {
    if (error == EIO)
        port->down += packets;
    else if (error == EAGAIN || error == ENOBUFS || error == ENOMEM)
        port->full += packets;
    else
        port->refused += packets;
}

static void tun_count(struct tun_port *port, bool written, uint64_t packets, uint64_t bytes) {
    if (written) {
        port->packets_written += packets;
        port->bytes_written += bytes;
    } else {
        tun_lose(port, errno, packets);
    }
}

/* Writes packets as they are, and frees them. */
static void tun_write_each(struct tun_port *port, struct packet_list *packets) {
    struct vnet plain = {0};
    struct packet *packet;
    while ((packet = packet_list_pop(packets))) {
        struct iovec parts[] = {{&plain, VNET_SIZE}, {packet->data, packet->size}};
        ssize_t size = port->has_vnet ? writev(port->fd, parts, 2) : write(port->fd, packet->data, packet->size);
        tun_count(port, size >= 0, 1, packet->size);
        packet_free(packet);
    }
}

/* Writes the packets of a super-packet of a kind that the kernel does not know, and makes no more of that kind. */
static void tun_take_apart(struct tun_port *port, const struct iovec *parts, size_t number) {
    struct packet_list packets = {0};
    size_t size = 0;
    for (size_t index = 0; index < number && parts[index].iov_len <= sizeof port->buffer - size; index++) {
        memcpy(port->buffer + size, parts[index].iov_base, parts[index].iov_len);
        size += parts[index].iov_len;
    }
    struct vnet vnet;
    memcpy(&vnet, port->buffer, sizeof vnet);
    if (vnet.kind == GSO_UDP)
        port->coalescer.uso = false;
    else
        port->joins = false;
    segment_frame(port->buffer, port->buffer + VNET_SIZE, size - VNET_SIZE, port->layer2, &packets);
    tun_write_each(port, &packets);
}

void tun_write(struct tun_port *port, struct packet_list *packets) {
    if (port->fd < 0) { /* as for an interface that was deleted */
        port->refused += packets->count;
        packet_list_free(packets);
        return;
    }
    tun_clamp(port, packets);
    if (!port->joins) {
        tun_write_each(port, packets);
        return;
    }
    struct coalescer *coalescer = &port->coalescer;
    while (packets->count) {
        coalescer_take(coalescer, packets);
        struct iovec parts[COALESCE_PARTS];
        size_t number;
        while ((number = coalescer_next(coalescer, parts))) {
            const struct packet_list *frame = &coalescer->frames[coalescer->given - 1].packets;
            uint64_t bytes = 0;
            for (const struct packet *packet = frame->first; packet; packet = packet->next)
                bytes += packet->size;
            bool written = writev(port->fd, parts, (int)number) >= 0;
            if (!written && errno == EINVAL && frame->count > 1) {
                tun_take_apart(port, parts, number);
                continue;
            }
            tun_count(port, written, frame->count, bytes);
            if (written && frame->count > 1) {
                port->coalesced_writes++;
                port->coalesced_segments += frame->count;
            }
        }
    }
}
