#define _GNU_SOURCE
#include "io/udp.h"

#include <errno.h>
#include <math.h>
#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { MOST_SENDS = 16, MOST_PARTS = 512 };

struct udp_port udp_port(int fd, bool gso, bool gro, bool answers) {
    struct udp_port port = {.fd = fd, .gso = gso, .gro = gro, .answers = answers};
    port.single_until = INFINITY;
    port.refused_for = -1;
    return port;
}

/* Out. */

/* Datagrams of so many bytes or more go singly now. */
static size_t udp_single_from(const struct udp_port *port, double now) {
    return port->gso || now >= port->single_until ? SIZE_MAX : port->single_from;
}

/* Stops runs of this size for a while. A datagram is larger than the path's MTU, or the device takes no runs. */
static void udp_pause_runs(struct udp_port *port, size_t size, double now) {
    if (port->gso || size < port->single_from)
        port->single_from = size;
    port->gso = false;
    port->single_until = now + UDP_GSO_PAUSE;
}

/* How many datagrams from this one on leave by one send: all as long as the first; only the last may be shorter. */
static unsigned udp_group_of(size_t single_from, const struct address *to, const struct packet *first) {
    if (first->size >= single_from)
        return 1;
    unsigned count = 1;
    size_t total = first->size, most = to->any.sa_family == AF_INET6 ? UDP_MOST_RUN_IPV6 : UDP_MOST_RUN_IPV4;
    for (const struct packet *next = first->next; next && count < UDP_MOST_SEGMENTS; next = next->next) {
        total += next->size;
        if (next->size > first->size || total > most)
            break;
        count++;
        if (next->size < first->size)
            break;
    }
    return count;
}

struct sends {
    unsigned count, parts;
    struct mmsghdr messages[MOST_SENDS];
    unsigned datagrams[MOST_SENDS]; /* in each message */
    struct iovec iov[MOST_PARTS];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
    } control[MOST_SENDS];
};

/* Adds a control message to a send that has room for it. */
static void udp_add_control(struct msghdr *header, int level, int type, const void *value, size_t size) {
    struct cmsghdr *part = (struct cmsghdr *)((char *)header->msg_control + header->msg_controllen);
    part->cmsg_level = level;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(part), value, size);
    header->msg_controllen += CMSG_SPACE(size);
}

/* Makes a send leave from the address that its peer calls. */
static void udp_add_source(struct msghdr *header, const struct address *to) {
    if (to->any.sa_family == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_addr = to->called.address, .ipi6_ifindex = to->called.scope};
        udp_add_control(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    } else {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, &to->called.address, sizeof info.ipi_spec_dst);
        udp_add_control(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
}

/* Whether datagrams to a peer's address are to leave from the address that this peer calls. */
static bool udp_has_source(const struct udp_port *port, const struct address *to) {
    return port->answers && called_known(&to->called) && !called_equal(&to->called, &port->lost);
}

/* Puts the first datagrams of a burst into messages. */
static void udp_gather(struct sends *sends, const struct udp_port *port, struct burst *burst, double now) {
    size_t from = udp_single_from(port, now);
    bool sourced = udp_has_source(port, &burst->address);
    sends->count = sends->parts = 0;
    struct packet *packet = burst->datagrams.first;
    while (packet && sends->count < MOST_SENDS) {
        unsigned group = udp_group_of(from, &burst->address, packet);
        if (sends->parts + group > MOST_PARTS)
            break;
        struct mmsghdr *message = &sends->messages[sends->count];
        message->msg_hdr = (struct msghdr){
            .msg_name = &burst->address.any,
            .msg_namelen = burst->address.size,
            .msg_iov = &sends->iov[sends->parts],
            .msg_iovlen = group,
            .msg_control = &sends->control[sends->count],
        };
        if (sourced)
            udp_add_source(&message->msg_hdr, &burst->address);
        if (group > 1) {
            uint16_t size = (uint16_t)packet->size;
            udp_add_control(&message->msg_hdr, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
        }
        sends->datagrams[sends->count++] = group;
        for (; group; group--, packet = packet->next)
            sends->iov[sends->parts++] = (struct iovec){packet->data, packet->size};
    }
}

/* How many messages were taken; -1 with errno: not even the first. */
static int udp_send_out(int fd, struct sends *sends) {
    if (sends->count > 1)
        return sendmmsg(fd, sends->messages, sends->count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sendmsg(fd, &sends->messages[0].msg_hdr, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 1;
}

/* Whether this error says that a kernel or device cannot split a run; EMSGSIZE: the path's MTU is less. */
static bool udp_is_of_gso(int error) {
    return error == EIO || error == EINVAL || error == EMSGSIZE || error == EOPNOTSUPP || error == 524; /* ENOTSUPP */
}

/* Whether this error says that the called local address is gone: EINVAL over IPv6, ENETUNREACH over IPv4. */
static bool udp_is_of_source(int error) {
    return error == EINVAL || error == ENETUNREACH;
}

static void udp_forget_first(struct burst *burst, unsigned count) {
    for (; count; count--)
        packet_free(packet_list_pop(&burst->datagrams));
}

void udp_limit(struct udp_port *port, struct path_state *path) {
    size_t waiting = 0;
    for (struct burst *burst = path->bursts; burst; burst = burst->next) {
        if (waiting + burst->datagrams.count <= UDP_QUEUE_LIMIT) {
            waiting += burst->datagrams.count;
            continue;
        }
        struct packet_list kept = {0};
        while (waiting < UDP_QUEUE_LIMIT && burst->datagrams.count) {
            packet_list_push(&kept, packet_list_pop(&burst->datagrams));
            waiting++;
        }
        port->overflows += burst->datagrams.count;
        packet_list_free(&burst->datagrams);
        burst->datagrams = kept;
    }
}

void udp_flush(struct udp_port *port, struct path_state *path, double now) {
    port->blocked = false;
    while (path->bursts && port->fd >= 0) {
        struct burst *burst = path->bursts;
        if (!burst->datagrams.count) {
            if (!burst->next)
                return; /* an empty burst is kept for the next datagram */
            path->bursts = burst->next;
            path_burst_free(burst);
            continue;
        }
        struct sends sends;
        udp_gather(&sends, port, burst, now);
        int taken = udp_send_out(port->fd, &sends);
        if (taken > 0) {
            port->refused_for = -1;
            for (int index = 0; index < taken; index++) {
                if (sends.datagrams[index] > 1) {
                    port->gso_sends++;
                    port->gso_segments += sends.datagrams[index];
                    port->gso |= burst->datagrams.first->size >= port->single_from;
                }
                udp_forget_first(burst, sends.datagrams[index]);
            }
        } else if (errno == EINTR) {
            continue;
        } else if (errno == EAGAIN) {
            port->blocked = true;
            udp_limit(port, path);
            return;
        } else if (sends.datagrams[0] > 1 && udp_is_of_gso(errno)) {
            udp_pause_runs(port, burst->datagrams.first->size, now);
        } else if (udp_is_of_source(errno) && udp_has_source(port, &burst->address)) {
            port->lost = burst->address.called; /* from now on they leave from any other */
        } else {                                /* it may concern only these datagrams, not the link: time will tell */
            port->send_errors += sends.datagrams[0];
            port->last_error = errno;
            if (port->refused_for < 0)
                port->refused_since = now;
            port->refused_for = now - port->refused_since;
            udp_forget_first(burst, sends.datagrams[0]);
        }
    }
}

/* In. */

static void udp_take_called_ipv4(const struct cmsghdr *part, struct called *called) {
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(part), sizeof info);
    /* Of a datagram that came before the option was set, the kernel knows only the header. */
    memcpy(&called->address, info.ipi_spec_dst.s_addr ? &info.ipi_spec_dst : &info.ipi_addr, sizeof info.ipi_addr);
}

static void udp_take_called_ipv6(const struct cmsghdr *part, struct called *called) {
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(part), sizeof info);
    called->address = info.ipi6_addr;
    /* From any other address, routing chooses the way out; it need not be the way in. */
    called->scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
}

/* Looks through all control messages, since unknown ones may stand first: SO_TIMESTAMP does. Returns the bytes of each
   datagram but the last, if the kernel joined several; 0: it was one. */
static size_t udp_take_control(const struct udp_port *port, struct msghdr *header, struct called *called) {
    size_t joined = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level == SOL_UDP && part->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(part), sizeof size);
            joined = size > 0 ? (size_t)size : 0;
        } else if (port->answers && part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            udp_take_called_ipv4(part, called);
        } else if (port->answers && part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            udp_take_called_ipv6(part, called);
        }
    }
    return joined;
}

bool udp_read(struct udp_port *port, uint8_t **arena, const uint8_t *end, struct udp_reading *reading) {
    struct mmsghdr messages[UDP_MOST_MESSAGES];
    struct iovec iov[UDP_MOST_MESSAGES];
    union {
        struct cmsghdr header;
        char bytes[UDP_ROOM];
    } control[UDP_MOST_MESSAGES];
    size_t slot = port->gro ? UDP_SLOT_SIZE_GRO : UDP_SLOT_SIZE;
    unsigned room = (unsigned)((size_t)(end - *arena) / slot);
    bool told = port->gro || port->answers;
    unsigned most = port->gro ? UDP_MOST_MESSAGES / 4 : UDP_MOST_MESSAGES;
    if (room > most)
        room = most;
    reading->count = reading->at = 0;
    reading->offset = 0;
    if (!room)
        return false;
    for (unsigned index = 0; index < room; index++) {
        struct udp_message *message = &reading->messages[index];
        message->data = *arena + index * slot;
        iov[index] = (struct iovec){message->data, slot};
        messages[index].msg_hdr = (struct msghdr){
            .msg_name = &message->source.any,
            .msg_namelen = sizeof message->source.v6,
            .msg_iov = &iov[index],
            .msg_iovlen = 1,
            .msg_control = told ? &control[index] : NULL,
            .msg_controllen = told ? sizeof control[index].bytes : 0,
        };
    }
    int count = recvmmsg(port->fd, messages, room, MSG_DONTWAIT, NULL);
    if (count < 0) {
        if (errno != EAGAIN && errno != EINTR) { /* an ICMP error about an earlier datagram of ours */
            port->send_errors++;
            port->last_error = errno;
        }
        return true;
    }
    reading->count = (unsigned)count;
    reading->drained = reading->count < room;
    for (int index = 0; index < count; index++) {
        struct udp_message *message = &reading->messages[index];
        struct msghdr *header = &messages[index].msg_hdr;
        message->size = messages[index].msg_len;
        message->source.size = header->msg_namelen;
        message->source.called = (struct called){0};
        size_t size = told ? udp_take_control(port, header, &message->source.called) : 0;
        if (called_equal(&message->source.called, &port->lost))
            port->lost = (struct called){0};
        if (size && size < message->size) {
            message->segment = size;
            port->gro_receives++;
            port->gro_segments += (message->size + message->segment - 1) / message->segment;
        } else {
            if (message->size > UDP_SLOT_SIZE) /* cut as without GRO, so that it is refused for its length */
                message->size = UDP_SLOT_SIZE;
            message->segment = message->size;
        }
    }
    *arena += (size_t)count * slot;
    return true;
}

static size_t udp_next_size(const struct udp_reading *reading) {
    const struct udp_message *message = &reading->messages[reading->at];
    size_t left = message->size - reading->offset;
    return left < message->segment ? left : message->segment;
}

uint64_t udp_next_number(const struct udp_reading *reading) {
    return wire_claimed_number(reading->messages[reading->at].data + reading->offset, udp_next_size(reading));
}

bool udp_next(struct udp_reading *reading, struct packet *datagram, const struct address **source) {
    if (reading->at >= reading->count)
        return false;
    struct udp_message *message = &reading->messages[reading->at];
    size_t size = udp_next_size(reading);
    *datagram = (struct packet){.data = message->data + reading->offset, .size = (uint32_t)size};
    *source = &message->source;
    reading->offset += size;
    if (reading->offset >= message->size) {
        reading->at++;
        reading->offset = 0;
    }
    return true;
}
