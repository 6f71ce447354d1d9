/* A link's edge: bursts of datagrams from and to one non-blocking UDP socket. Model: mlvpnd/net/link_socket.py. */
#ifndef MLVPND_UDP_H
#define MLVPND_UDP_H

#include "sending/path_state.h"

enum {
    UDP_MOST_SEGMENTS = 64,                  /* of one send: kernels before 6.9 take no more */
    UDP_MOST_RUN_IPV4 = 65535 - 14 - 20 - 8, /* bytes of one send: see MAX_RUN_SIZE of mlvpnd/net/link_socket.py */
    UDP_MOST_RUN_IPV6 = 65535 - 14 - 40 - 8,
    UDP_ARENA = 4 << 20,    /* bytes; all links are read into it before any datagram is taken */
    UDP_MOST_MESSAGES = 32, /* of one read */
    UDP_SLOT_SIZE = 9216,   /* bytes for a datagram, if the kernel joins none */
    UDP_SLOT_SIZE_GRO = 1 << 16,
};

struct udp_port {
    int fd;               /* -1: none */
    bool gso, gro;        /* whether the kernel takes runs to send, and joins what comes */
    size_t single_from;   /* without gso: datagrams of so many bytes or more go singly ... */
    double single_until;  /* ... until runs of them are tried again; seconds of the monotonic clock */
    bool answers;         /* messages tell which local address was called; datagrams leave from it */
    struct called lost;   /* a called address that the kernel refused, until a datagram comes to it */
    bool blocked;         /* datagrams wait for the socket to become writable */
    int last_error;       /* errno of the last datagram that was refused */
    double refused_since; /* seconds of the monotonic clock: the first refusal in a row */
    double refused_for;   /* seconds from it to the last refusal; < 0: the last datagram was taken */
    uint64_t overflows, send_errors;
    uint64_t gso_sends, gso_segments, gro_receives, gro_segments;
};

/* A port with this socket. `gso`, `gro`: what the kernel can do. `answers`: it tells which address is called. */
struct udp_port udp_port(int fd, bool gso, bool gro, bool answers);
/* Sends all bursts of a link, or keeps up to UDP_QUEUE_LIMIT of their datagrams for later. */
void udp_flush(struct udp_port *port, struct path_state *path, double now);
/* Keeps only the first UDP_QUEUE_LIMIT datagrams that wait for a blocked socket. */
void udp_limit(struct udp_port *port, struct path_state *path);

/* What was read from one socket, and how far it was taken. */
struct udp_reading {
    unsigned count, at; /* messages */
    bool drained;       /* the socket had no more than these */
    size_t offset;      /* in the message at `at` */
    struct udp_message {
        uint8_t *data;
        size_t size, segment; /* bytes; bytes of each datagram but the last */
        struct address source;
    } messages[UDP_MOST_MESSAGES];
};

/* Reads what waits into [*arena, end), and moves `*arena` behind it; false: there is no room for a datagram. */
bool udp_read(struct udp_port *port, uint8_t **arena, const uint8_t *end, struct udp_reading *reading);
/* The data_seq that the next datagram of a reading claims; 0: none, so that no other goes before it. There must be a
   next one. */
uint64_t udp_next_number(const struct udp_reading *reading);
/* The next datagram of a reading, borrowed; false: there is none left. */
bool udp_next(struct udp_reading *reading, struct packet *datagram, const struct address **source);

#endif
