/* The loop that passes packets without Python: it waits for the interface and the links. It returns for packets that
   Python must look at, for wake-ups and deadlines of others, and for housekeeping ten times a second. */
#ifndef MLVPND_LOOP_H
#define MLVPND_LOOP_H

#include "sending/engine.h"
#include "io/tun.h"
#include "io/udp.h"

enum loop_reason {
    LOOP_WOKEN = 1,         /* the others' descriptor is readable, or their deadline has come */
    LOOP_HOUSEKEEPING = 2,  /* there is news for Python, and `housekeeping_at` has come */
    LOOP_SLOW_DATAGRAM = 4, /* the next datagram of `slow_link` is for Python: see loop_next_slow */
    LOOP_SLOW_PACKET = 8,   /* the first packet of `from_tun` is for Python */
    LOOP_TUN_LOST = 16,     /* reading failed with `tun_error` */
};

struct loop_port {
    struct udp_port udp;
    struct udp_reading reading; /* the last reading, and how far it was taken */
    uint64_t next_number;       /* that the next datagram of `reading` claims */
    unsigned stops;             /* datagrams of `reading` that Python had to look at */
    unsigned refused;           /* datagrams refused in a row */
    double rests_until;         /* seconds: not read before, because too many were refused */
    int32_t number;
};

struct loop {
    struct engine *engine;
    struct tun_port *tun;
    struct loop_port *ports;
    size_t port_count;
    size_t turn;            /* the port to read first: the arena had no room for it */
    double housekeeping_at; /* seconds */
    bool is_news;           /* Python does not know yet of dropped datagrams, or of links to judge */
    double data_at;         /* when data last came or went; < 0: not since Python looked */
    int tun_error;
    struct packet_list from_tun; /* packets that are not in the schedule yet */
    int32_t slow_link;           /* whose next datagram Python must look at; < 0: none */
    uint8_t *arena;              /* UDP_ARENA bytes */
    struct packet *views;        /* packets borrowed from the arena */
};

bool loop_begin(struct loop *loop, struct engine *engine, bool layer2);
void loop_end(struct loop *loop);
struct loop_port *loop_port(struct loop *loop, int32_t number);
/* Adds a link's socket; NULL: no memory. */
struct loop_port *loop_attach(struct loop *loop, int32_t number, struct udp_port udp);
/* Removes a link's socket, after a last attempt to send what waits. */
void loop_detach(struct loop *loop, int32_t number, double now);
/* Sends all bursts. */
void loop_flush(struct loop *loop, double now);
/* The link whose datagrams loop_next_slow gives; < 0: none. `rest`: any link with datagrams left will do. */
int32_t loop_slow_link(struct loop *loop, bool rest);
/* The next datagram for Python, borrowed; false: there is none. `first`: the first in this turn of Python. Behind it go
   only datagrams that are not usual (engine_is_usual). With `rest`, or after too many stops in one reading, all go:
   strangers can send unusual ones at will, and many of theirs are to cost one turn of Python, not one each. */
bool loop_next_slow(struct loop *loop, bool first, bool rest, struct packet *datagram, const struct address **source);
/* Passes packets until there is a reason to stop. `wake`: a descriptor; `deadline`: seconds, monotonic clock. */
unsigned loop_run(struct loop *loop, int wake, double deadline);
double loop_now(void);

#endif
