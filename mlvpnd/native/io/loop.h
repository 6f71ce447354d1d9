/* The loop that packets go round in, without Python: it waits for the interface and the links, passes what it can, and
   comes back for what it cannot, for wake-ups and deadlines of others, and for what Python does ten times a second. */
#ifndef MLVPND_LOOP_H
#define MLVPND_LOOP_H

#include "sending/engine.h"
#include "io/tun.h"
#include "io/udp.h"

enum loop_reason {
    LOOP_WOKEN = 1,         /* the descriptor of others is readable, or their deadline has come */
    LOOP_HOUSEKEEPING = 2,  /* packets have passed, and `housekeeping_at` with them */
    LOOP_SLOW_DATAGRAM = 4, /* the next of `slow_link` is for Python: see loop_next_slow */
    LOOP_SLOW_PACKET = 8,   /* so is the first of `from_tun` */
    LOOP_TUN_LOST = 16,     /* `tun_error` */
};

struct loop_port {
    struct udp_port udp;
    struct udp_reading reading; /* what was read last, as far as it has not been taken */
    uint64_t next_number;       /* of the next of it */
    unsigned stops;             /* how often Python had to look at one of it */
    unsigned refused;           /* datagrams in a row */
    double rests_until;         /* seconds: it is not read before, for they were too many */
    int32_t number;
};

struct loop {
    struct engine *engine;
    struct tun_port *tun;
    struct loop_port *ports;
    size_t port_count;
    size_t turn;            /* the port that is read first: one that the arena had no room for */
    double housekeeping_at; /* seconds */
    bool is_news;   /* Python has not been told of datagrams that were dropped, or links that are to be judged */
    double data_at; /* when data came or went last; < 0: not since Python has looked */
    int tun_error;
    struct packet_list from_tun; /* packets that are not in the schedule yet */
    int32_t slow_link;           /* whose next datagram Python has to look at; < 0: nobody's */
    uint8_t *arena;              /* UDP_ARENA bytes */
    struct packet *views;        /* packets that are borrowed from it */
};

bool loop_begin(struct loop *loop, struct engine *engine, bool layer2);
void loop_end(struct loop *loop);
struct loop_port *loop_port(struct loop *loop, int32_t number);
/* Adds a link's socket; NULL: no memory. */
struct loop_port *loop_attach(struct loop *loop, int32_t number, struct udp_port udp);
/* After a last attempt to send what waits. */
void loop_detach(struct loop *loop, int32_t number, double now);
/* Sends all bursts. */
void loop_flush(struct loop *loop, double now);
/* The link whose datagrams loop_next_slow gives; `rest`: any that has brought some that were not taken yet. < 0: none. */
int32_t loop_slow_link(struct loop *loop, bool rest);
/* The next datagram for Python, borrowed; false: there is none. `first`: the first that Python is asked for now; those go
   along behind it that are most likely for Python too. Those behind an unusual one are all for it if it comes too often, so
   that strangers, who can send such at will, cost a turn of Python for many of theirs, and not for each; and with `rest`. */
bool loop_next_slow(struct loop *loop, bool first, bool rest, struct packet *datagram, const struct address **source);
/* Passes packets until there is a reason to stop. `wake`: a descriptor; `deadline`: seconds of the monotonic clock. */
unsigned loop_run(struct loop *loop, int wake, double deadline);
double loop_now(void);

#endif
