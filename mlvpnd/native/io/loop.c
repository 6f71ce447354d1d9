#define _GNU_SOURCE
#include "io/loop.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum {
    MOST_VIEWS = 2048, /* DATA datagrams taken before their packets are delivered */
    TUN_TURN = 64,     /* packets, and reads, until the links have their turn; the last read may bring a super-packet */
    TUN_BURST = 32,    /* packets read, after which due ones are sent */
    MOST_PORTS = 256,
    MOST_STOPS = 2,        /* in one reading for single datagrams; then Python gets all of it */
    REFUSED_IN_A_ROW = 64, /* datagrams of a link; then it rests between readings */
};
/* Seconds. Rest of a link that is read empty, while all its datagrams are refused. At 80 000 datagrams a second, 20
   are then read together: waking up for each costs more than refusing it. A packet of the peer waits no longer. */
static const double REFUSED_REST = 0.00025;

double loop_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

bool loop_begin(struct loop *loop, struct engine *engine, bool layer2) {
    *loop = (struct loop){.engine = engine, .data_at = -1, .slow_link = -1};
    loop->tun = calloc(1, sizeof *loop->tun);
    loop->arena = malloc(UDP_ARENA);
    loop->views = malloc(MOST_VIEWS * sizeof *loop->views);
    if (!loop->tun || !loop->arena || !loop->views) {
        loop_end(loop);
        return false;
    }
    loop->tun->fd = -1;
    loop->tun->layer2 = layer2;
    return true;
}

void loop_end(struct loop *loop) {
    packet_list_free(&loop->from_tun);
    free(loop->tun);
    free(loop->arena);
    free(loop->views);
    free(loop->ports);
    *loop = (struct loop){0};
}

struct loop_port *loop_port(struct loop *loop, int32_t number) {
    for (size_t index = 0; index < loop->port_count; index++)
        if (loop->ports[index].number == number)
            return &loop->ports[index];
    return NULL;
}

struct loop_port *loop_attach(struct loop *loop, int32_t number, struct udp_port udp) {
    struct loop_port *port = loop_port(loop, number);
    if (!port) {
        struct loop_port *ports =
            loop->port_count < MOST_PORTS ? realloc(loop->ports, (loop->port_count + 1) * sizeof *ports) : NULL;
        if (!ports)
            return NULL;
        loop->ports = ports;
        port = &ports[loop->port_count++];
    }
    *port = (struct loop_port){.number = number, .udp = udp};
    return port;
}

static void loop_flush_port(struct loop *loop, struct loop_port *port, double now) {
    struct path_state *path = engine_path(loop->engine, port->number);
    if (path)
        udp_flush(&port->udp, path, now);
}

/* Sends a port's bursts. If its socket is blocked, only drops what is more than may wait. */
static void loop_send_out(struct loop *loop, struct loop_port *port, double now) {
    if (!port->udp.blocked) {
        loop_flush_port(loop, port, now);
        return;
    }
    struct path_state *path = engine_path(loop->engine, port->number);
    if (path)
        udp_limit(&port->udp, path);
}

void loop_detach(struct loop *loop, int32_t number, double now) {
    struct loop_port *port = loop_port(loop, number);
    if (!port)
        return;
    loop_flush_port(loop, port, now);
    struct path_state *path = engine_path(loop->engine, number);
    if (path)
        path_clear(path);
    if (loop->slow_link == number)
        loop->slow_link = -1;
    *port = loop->ports[--loop->port_count];
}

void loop_flush(struct loop *loop, double now) {
    for (size_t index = 0; index < loop->port_count; index++)
        loop_send_out(loop, &loop->ports[index], now);
    /* A link without a socket sends nothing, and keeps nothing. */
    for (size_t index = 0; index < loop->engine->table.count; index++) {
        struct path_state *path = loop->engine->table.paths[index];
        if (path->bursts && path->bursts->datagrams.count && !loop_port(loop, path->number))
            path_clear(path);
    }
}

/* Out. */

/* Schedules packets from the interface; false: the first one left is for Python. */
static bool loop_schedule(struct loop *loop, double now) {
    struct packet *packet;
    while ((packet = loop->from_tun.first)) {
        if (packet->size + WIRE_HEADER_SIZE + WIRE_MAC_SIZE <= WIRE_MAX_DATAGRAM_SIZE &&
            engine_is_directed(loop->engine, packet, now))
            return false;
        engine_schedule(loop->engine, packet_list_pop(&loop->from_tun), now);
    }
    return true;
}

static void loop_send_due(struct loop *loop, double now) {
    engine_pump(loop->engine, now);
    loop_flush(loop, now);
}

static unsigned loop_read_tun(struct loop *loop, double now) {
    size_t since = 0;
    uint64_t end = loop->tun->packets_read + TUN_TURN;
    for (int reads = 0; reads < TUN_TURN && loop->tun->packets_read < end; reads++) {
        size_t before = loop->from_tun.count;
        int more = tun_read(loop->tun, &loop->from_tun);
        if (more < 0) {
            loop->tun_error = errno;
            loop->tun->is_read = false;
            return LOOP_TUN_LOST;
        }
        if (!more)
            break;
        loop->data_at = now;
        if (!since)
            weighted_begin_burst(&loop->engine->weighted, loop->from_tun.count - before);
        since += loop->from_tun.count - before;
        if (!loop_schedule(loop, now))
            return LOOP_SLOW_PACKET;
        if (since >= TUN_BURST) {
            loop_send_due(loop, now);
            since = 0;
        }
    }
    return 0;
}

/* In. */

struct delivery {
    struct packet_list packets;
    size_t views;
};

static void loop_deliver(struct loop *loop, struct delivery *delivery) {
    tun_write(loop->tun, &delivery->packets);
    delivery->views = 0;
}

/* Reads every link that has something, before loop_take takes any of it. */
static void loop_read_links(struct loop *loop, const struct pollfd *polled) {
    uint8_t *arena = loop->arena;
    size_t left = 0, turn = loop->turn;
    for (size_t index = 0; index < loop->port_count; index++)
        left += (polled[index].revents & ~POLLOUT) != 0;
    for (size_t step = 0; left && step < loop->port_count; step++) {
        size_t index = (turn + step) % loop->port_count;
        struct loop_port *port = &loop->ports[index];
        if (!(polled[index].revents & ~POLLOUT))
            continue;
        size_t room = (size_t)(loop->arena + UDP_ARENA - arena), share = room / left--;
        if (share < UDP_SLOT_SIZE_GRO)
            share = room < UDP_SLOT_SIZE_GRO ? room : UDP_SLOT_SIZE_GRO;
        if (!udp_read(&port->udp, &arena, arena + share, &port->reading)) {
            loop->turn = index;
            return;
        }
        port->stops = 0;
    }
}

static bool loop_has_more(const struct loop_port *port) {
    return port->reading.at < port->reading.count;
}

/* Takes a port's next datagram; LOOP_SLOW_DATAGRAM: Python must look at it. */
static unsigned loop_take_one(struct loop *loop, struct loop_port *port, struct path_state *path,
                              struct delivery *delivery, double now) {
    const struct address *source;
    struct udp_reading *reading = &port->reading;
    unsigned at = reading->at;
    size_t offset = reading->offset;
    struct packet *datagram = &loop->views[delivery->views];
    udp_next(reading, datagram, &source);
    enum engine_fate fate = engine_take(loop->engine, path, datagram, source, now, &delivery->packets);
    if (fate != ENGINE_DROPPED)
        port->refused = 0;
    switch (fate) {
    case ENGINE_DATA:
        loop->data_at = now;
        if (++delivery->views == MOST_VIEWS)
            loop_deliver(loop, delivery);
        return 0;
    case ENGINE_DROPPED:
        if (port->refused < REFUSED_IN_A_ROW)
            port->refused++;
        else if (reading->drained)
            port->rests_until = now + REFUSED_REST;
        loop->is_news = true;
        return 0;
    case ENGINE_HEARD:
        loop->is_news = loop->is_news || !path_is_settled(path);
        return 0;
    case ENGINE_SLOW:
        break;
    }
    reading->at = at;
    reading->offset = offset;
    loop->slow_link = port->number;
    port->stops++;
    return LOOP_SLOW_DATAGRAM;
}

/* Takes what was read. Each link's datagrams stay in order; of the links' next ones, the lowest claimed number goes
   first. For one link may have brought more than the reorder buffer holds, and other links' datagrams fill its holes.
   The claim is not verified. But a false one holds up only its own link, until the others' datagrams are taken. */
static unsigned loop_take(struct loop *loop, struct delivery *delivery, double now) {
    struct loop_port *ports[MOST_PORTS];
    struct path_state *paths[MOST_PORTS];
    size_t count = 0;
    loop->slow_link = -1;
    for (size_t index = 0; index < loop->port_count; index++) {
        struct loop_port *port = &loop->ports[index];
        if (!loop_has_more(port))
            continue;
        struct path_state *path = engine_path(loop->engine, port->number);
        if (!path) {
            port->reading.count = 0;
            continue;
        }
        port->next_number = udp_next_number(&port->reading);
        paths[count] = path;
        ports[count++] = port;
    }
    if (count)
        receiver_refresh(&loop->engine->receiver, now);
    while (count) {
        size_t first = 0;
        for (size_t index = 1; index < count; index++)
            if (ports[index]->next_number < ports[first]->next_number)
                first = index;
        struct loop_port *port = ports[first];
        unsigned reasons = loop_take_one(loop, port, paths[first], delivery, now);
        if (reasons)
            return reasons;
        if (loop_has_more(port)) {
            port->next_number = udp_next_number(&port->reading);
        } else {
            count--;
            ports[first] = ports[count];
            paths[first] = paths[count];
        }
    }
    return 0;
}

int32_t loop_slow_link(struct loop *loop, bool rest) {
    for (size_t index = 0; rest && loop->slow_link < 0 && index < loop->port_count; index++)
        if (loop_has_more(&loop->ports[index]) && engine_path(loop->engine, loop->ports[index].number))
            loop->slow_link = loop->ports[index].number;
    return loop->slow_link;
}

bool loop_next_slow(struct loop *loop, bool first, bool rest, struct packet *datagram, const struct address **source) {
    struct loop_port *port = loop->slow_link < 0 ? NULL : loop_port(loop, loop->slow_link);
    if (!port || !loop_has_more(port)) {
        loop->slow_link = -1;
        return false;
    }
    struct udp_reading *reading = &port->reading;
    unsigned at = reading->at;
    size_t offset = reading->offset;
    udp_next(reading, datagram, source);
    if (first || rest || port->stops > MOST_STOPS)
        return true;
    const struct path_state *path = engine_path(loop->engine, loop->slow_link);
    if (!path || !engine_is_usual(path, datagram))
        return true;
    reading->at = at;
    reading->offset = offset;
    return false;
}

/* Time. */

static double loop_data_due(const struct loop *loop) {
    int64_t due;
    double at = INFINITY;
    if (loop->engine->receiver.reorder)
        at = reorder_deadline(loop->engine->receiver.reorder);
    if (loop->engine->is_paced && paced_due(&loop->engine->paced, &due)) {
        double departure = (double)(due + ENGINE_ROUNDING) / 1e9;
        if (departure < at)
            at = departure;
    }
    return at;
}

static void loop_wait(struct pollfd *polled, size_t count, double seconds) {
    if (!(seconds > 0))
        seconds = 0;
    struct timespec limit = {0}, *timeout = NULL;
    if (seconds < 1e9) {
        limit.tv_sec = (time_t)seconds;
        limit.tv_nsec = (long)((seconds - (double)limit.tv_sec) * 1e9);
        timeout = &limit;
    }
    if (ppoll(polled, count, timeout, NULL) < 0)
        for (size_t index = 0; index < count; index++)
            polled[index].revents = 0;
}

unsigned loop_run(struct loop *loop, int wake, double deadline) {
    struct pollfd polled[MOST_PORTS + 2];
    struct delivery delivery = {0};
    unsigned reasons = 0;
    double now = loop_now();
    reasons |=
        loop_take(loop, &delivery, now); /* the rest behind Python's datagram, before the next reading overwrites it */
    if (loop->from_tun.count && !loop_schedule(loop, now))
        reasons |= LOOP_SLOW_PACKET;
    for (;;) {
        if (loop->engine->receiver.reorder)
            reorder_expire(loop->engine->receiver.reorder, now, &delivery.packets);
        loop_deliver(loop, &delivery);
        loop_send_due(loop, now);
        bool is_news = loop->data_at >= 0 || loop->is_news;
        if (is_news && now >= loop->housekeeping_at) {
            reasons |= LOOP_HOUSEKEEPING;
            loop->is_news = false;
        }
        size_t count = 0;
        polled[count++] = (struct pollfd){.fd = wake, .events = POLLIN};
        polled[count++] = (struct pollfd){.fd = loop->tun->is_read ? loop->tun->fd : -1, .events = POLLIN};
        double due = loop_data_due(loop);
        if (deadline < due)
            due = deadline;
        for (size_t index = 0; index < loop->port_count; index++) {
            const struct loop_port *port = &loop->ports[index];
            bool rests = now < port->rests_until;
            if (rests && port->rests_until < due)
                due = port->rests_until;
            short events = (short)((rests ? 0 : POLLIN) | (port->udp.blocked ? POLLOUT : 0));
            polled[count++] = (struct pollfd){.fd = port->udp.fd, .events = events};
        }
        if (is_news && loop->housekeeping_at < due) /* Python learns of the last data no later than of other data */
            due = loop->housekeeping_at;
        if (reasons)
            return reasons;
        loop_wait(polled, count, due - now);
        now = loop_now();
        if (polled[0].revents || now >= deadline)
            reasons |= LOOP_WOKEN;
        for (size_t index = 0; index < loop->port_count; index++)
            if (polled[2 + index].revents & POLLOUT)
                loop_flush_port(loop, &loop->ports[index], now);
        loop_read_links(loop, polled + 2);
        reasons |= loop_take(loop, &delivery, now);
        if (polled[1].revents)
            reasons |= loop_read_tun(loop, now);
    }
}
