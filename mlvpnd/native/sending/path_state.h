/* A link as the engine needs it: the fields of mlvpnd/protocol/links/path.py that packets read and write. */
#ifndef MLVPND_PATH_STATE_H
#define MLVPND_PATH_STATE_H

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "receiving/answers.h"
#include "receiving/loss.h"
#include "wire/packet.h"
#include "wire/replay.h"
#include "receiving/rtt.h"
#include "receiving/transit.h"
#include "wire/wire.h"

/* An address of this host; all zero: not known. An IPv4 address is in the first four bytes. */
struct called {
    struct in6_addr address;
    uint32_t scope; /* interface of a link-local address */
};

static inline bool called_equal(const struct called *one, const struct called *other) {
    return memcmp(one, other, sizeof *one) == 0;
}

static inline bool called_known(const struct called *called) {
    static const struct called none;
    return !called_equal(called, &none);
}

/* A peer's address, and, on a socket that is bound to no address, the address of this host that it calls. Model:
   mlvpnd/protocol/links/path.py. */
struct address {
    struct called called;
    socklen_t size; /* 0: none, or not a socket address */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

static inline bool address_equal(const struct address *one, const struct address *other) {
    if (one->size != other->size || !one->size || one->any.sa_family != other->any.sa_family ||
        !called_equal(&one->called, &other->called))
        return false;
    if (one->any.sa_family == AF_INET)
        return one->v4.sin_port == other->v4.sin_port && one->v4.sin_addr.s_addr == other->v4.sin_addr.s_addr;
    return one->v6.sin6_port == other->v6.sin6_port && one->v6.sin6_flowinfo == other->v6.sin6_flowinfo &&
           one->v6.sin6_scope_id == other->v6.sin6_scope_id &&
           memcmp(&one->v6.sin6_addr, &other->v6.sin6_addr, sizeof one->v6.sin6_addr) == 0;
}

/* Datagrams for one address. */
struct burst {
    struct burst *next;
    struct address address;
    struct packet_list datagrams;
};

enum { PATH_NO_EPOCH = -1 };

struct path_state {
    int32_t number;
    int32_t status; /* PathStatus */
    bool distrusted;
    bool enabled;
    bool fallback_only;
    bool on_trial;
    bool ready;
    uint32_t unanswered_auths;
    bool measures_loss; /* else `loss` means nothing */
    int32_t name;       /* a number for it: one name, one number */
    uint32_t flow_id;
    uint64_t next_seq;
    struct address peer;
    struct peer_flow *flow; /* NULL: none */
    struct rtt_estimator rtt;
    struct stamp_echo echo;
    struct transit transit;
    struct disorder disorder;
    struct loss_meter loss;
    struct answer_pace answers;
    int64_t epoch; /* of the peer's numbers, or PATH_NO_EPOCH */
    double heard_at, heard_gap, sent_at, numbered_at, up_at, judge_at, last_auth_at, last_disconnect_at;
    uint64_t packets_sent, bytes_sent, packets_received, bytes_received;
    uint64_t drops[DROP_REASONS];
    struct burst *bursts, *last_burst;
};

static inline bool path_up(const struct path_state *path) {
    return path->status >= PATH_AUTHOK;
}

/* Whether a link is up, and not lossy, slow or on trial: it need not be judged at once. */
static inline bool path_is_settled(const struct path_state *path) {
    return path->status == PATH_AUTHOK && !path->on_trial;
}

/* Whether the peer's flow is still bound to this link, and not to another. */
static inline bool path_has_flow(const struct path_state *path) {
    return path->flow && path->flow->link == path->name;
}

/* Notes an authentic packet. */
static inline void path_hear(struct path_state *path, double now) {
    double gap = now - path->heard_at;
    if (!(gap < 1.0))
        gap = 1.0;
    path->heard_gap += PATH_GAP_GAIN * (gap - path->heard_gap);
    path->heard_at = now;
}

/* Begins all meters but that of loss; `seq` is the newest number of the link's flow. */
void path_measure_anew(struct path_state *path, uint64_t seq);
/* Begins to measure loss. */
void path_measure_loss(struct path_state *path, uint64_t seq);
/* Puts a datagram into the link's burst; false: no memory. */
bool path_queue(struct path_state *path, const struct address *to, struct packet *datagram);
/* Frees a burst that is no longer in a list. */
void path_burst_free(struct burst *burst);
/* Frees all datagrams that no socket took. */
void path_clear(struct path_state *path);

/* The links of a session, in its order. */
struct path_table {
    struct path_state **paths;
    size_t count;
};

/* False: no memory. */
bool path_table_add(struct path_table *table, struct path_state *path);
void path_table_remove(struct path_table *table, const struct path_state *path);
void path_table_end(struct path_table *table);

#endif
