/* Coverage-guided fuzzing of the native twin's way in with libFuzzer: `make fuzz-receive`, or
   `make fuzz-receive FUZZ="-max_total_time=600 CORPUS_DIRECTORY"`; the options are libFuzzer's.

   An input is two bytes of choices, then steps: raw datagrams, datagrams sealed with the right key (the input gives
   headers, times and payloads), control packets, time that passes, links that come, go and get another flow, and
   deliveries. It ends with what the sanitizers find, or with the first input by which
   - a number is taken twice, or a packet is delivered twice in a count,
   - a packet gets lost on its way to the interface,
   - a packet for Python is changed,
   - more is held than the reorder buffer's size. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "offload/checksum.h"
#include "offload/coalesce.h"
#include "sending/engine.h"
#include "offload/vnet.h"

enum { CLEAR = 1, LAYER2 = 2, USO = 4, COPIES = 8, TWICE = 16 }; /* choices for all */
enum { REPEAT = 1, FAR = 2, UNNUMBERED = 4, MADE = 8, STRANGE = 16, FOREIGN = 32 }; /* choices for a datagram */
enum { LINKS = 3, PLACES = 1 << 16, MOST_STEPS = 2000, MOST_PENDING = 256, PAYLOAD = 255 << 3 };
static const uint64_t FIRST = UINT64_C(1) << 40;
static const size_t SIZES[] = {0, 1, 2, 4, 16, 64, 256, 1024};

/* A number at its place; it counts if its row is the present one. */
struct noted {
    uint64_t number;
    uint32_t row;
};

struct link {
    struct path_state path;
    struct peer_flow flow;
    uint64_t seq;
    uint32_t row;
    struct noted taken[PLACES];
    struct noted controls[PLACES]; /* numbers that the other window took, where clear DATA has its own */
};

struct input {
    const uint8_t *data;
    size_t size;
};

static struct link links[LINKS];
static struct coalescer coalescer;
static struct engine *engine;
static struct receiver *receiver; /* of the engine */
static struct noted delivered[PLACES];
static uint32_t row; /* grows, so that nothing has to be cleared */
static uint64_t data_seq;
static double now;
static struct packet_list out;
static struct packet *pending[MOST_PENDING]; /* datagrams in which packets of `out` may lie */
static uint8_t *pending_bytes[MOST_PENDING];
static size_t pending_count;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    abort();
}

static uint8_t next(struct input *input) {
    if (!input->size)
        return 0;
    input->size--;
    return *input->data++;
}

static uint64_t next64(struct input *input) {
    uint64_t value = 0;
    for (int octet = 0; octet < 8; octet++)
        value = value << 8 | next(input);
    return value;
}

/* Notes a number; false: it was there already. */
static bool note(struct noted *places, uint32_t of, uint64_t number) {
    struct noted *place = &places[number % PLACES];
    if (place->row == of && place->number == number)
        return false;
    *place = (struct noted){number, of};
    return true;
}

static struct address address_of(int number) {
    struct address address = {.size = sizeof address.v4};
    address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = (in_port_t)(1 + number)};
    return address;
}

/* The interface's end. */

static void deliver(int choices) {
    static uint8_t frame[1 << 16];
    size_t packets = out.count, written = 0;
    struct iovec parts[COALESCE_PARTS];
    coalescer_begin(&coalescer, choices & USO, choices & LAYER2);
    while (out.count) {
        coalescer_take(&coalescer, &out);
        size_t count;
        while ((count = coalescer_next(&coalescer, parts))) {
            if (count > COALESCE_PARTS)
                fail("too many parts");
            for (size_t part = 0; part < count; part++) {
                if (parts[part].iov_len > sizeof frame)
                    fail("a part without end");
                memcpy(frame, parts[part].iov_base, parts[part].iov_len); /* so that a read of missing bytes is seen */
            }
            written += count - 1;
        }
    }
    if (written != packets)
        fail("packets got lost on their way to the interface");
    while (pending_count) {
        free(pending[--pending_count]);
        free(pending_bytes[pending_count]);
    }
}

/* Links. */

/* The link gets another flow of the peer. */
static void begin_flow(struct link *link, int choices) {
    struct path_state *path = &link->path;
    peer_flow_end(&link->flow);
    link->seq += FIRST;
    link->row = ++row;
    peer_flow_begin(&link->flow, link->flow.flow_id + LINKS, path->name, link->seq);
    if (choices & CLEAR) {
        if (!clear_begin(&link->flow.clear, link->seq, PROTOCOL_CLEAR_WINDOW_SIZE))
            fail("no memory");
        link->flow.has_clear = true;
    }
    path_measure_anew(path, link->seq);
    path_measure_loss(path, link->seq);
    path->flow = &link->flow;
    receiver_begin_flow(receiver, path, now);
}

static void change_link(struct input *input, struct link *link, int choices) {
    struct path_state *path = &link->path;
    switch (next(input) % 8) {
    case 0:
        path->status = 0;
        path->distrusted = false;
        receiver_lose(receiver, now);
        break;
    case 1:
        path->distrusted = true;
        break;
    case 2:
        path->fallback_only = !path->fallback_only;
        break;
    case 3:
        begin_flow(link, choices);
        break;
    case 4:
        loss_pause(&path->loss, now + 1);
        receiver_stood_still(receiver);
        break;
    case 5:
        link->flow.link = LINKS;
        break;
    default:
        path->status = PATH_AUTHOK;
        path->distrusted = false;
        link->flow.link = path->name;
        path->up_at = now;
        receiver_update(receiver, now);
    }
    row += receiver->freed.count > 0; /* flushed packets may come again in the count that begins now */
    packet_list_join(&out, &receiver->freed);
}

/* Datagrams. */

/* Whether the buffer would know whether it has delivered a number. */
static bool counts(const struct path_state *path, uint64_t number) {
    return receiver->reorder && path->epoch == receiver->epoch && receiver->reorder->counting &&
           (number - receiver->reorder->next < REORDER_JUMP || receiver->reorder->next - number <= REORDER_JUMP);
}

static void look_at(const struct path_state *path, const struct wire_header *header, struct packet_list *came,
                    int64_t count_before, bool counted, int strays) {
    bool numbered = header->reorder && receiver->reorder;
    bool begins = receiver->epoch != count_before || !counted || (strays == REORDER_STRAYS - 1 && !receiver->reorder->strays);
    if (numbered && begins)
        row++;
    for (const struct packet *packet = came->first; packet; packet = packet->next) {
        if (!packet->size)
            fail("an empty packet");
        bool is_of_count = !begins || (packet->data_seq == header->data_seq && counts(path, header->data_seq));
        if (numbered && is_of_count && !note(delivered, row, packet->data_seq) && !begins)
            fail("a packet was delivered twice");
    }
    if (receiver->reorder && receiver->reorder->held > receiver->reorder->size)
        fail("more is held than there is room for");
    packet_list_join(&out, came);
}

/* The numbers that the window of control packets took. */
static struct noted *controls(struct link *link, int choices) {
    return choices & CLEAR ? link->controls : link->taken;
}

/* Gives the engine a datagram, in memory of exactly its size, and checks what it makes of it. */
static void take(struct link *link, const uint8_t *bytes, size_t size, const struct address *source, int choices) {
    struct path_state *path = &link->path;
    struct wire_header header;
    bool parsed = wire_parse(bytes, size, &header) == DROP_REASONS;
    if (pending_count == MOST_PENDING)
        deliver(choices);
    struct packet *datagram = calloc(1, sizeof *datagram);
    uint8_t *data = malloc(size ? size : 1);
    if (!datagram || !data)
        fail("no memory");
    memcpy(data, bytes, size);
    *datagram = (struct packet){.data = data, .size = (uint32_t)size};
    struct packet_list came = {0};
    int64_t count = receiver->epoch;
    bool counted = parsed && counts(path, header.data_seq);
    int strays = receiver->reorder ? receiver->reorder->strays : 0;
    enum engine_fate fate = engine_take(engine, path, datagram, source, now, &came);
    if (fate == ENGINE_DATA) {
        if (!parsed)
            fail("what is no datagram was taken");
        if (!note(link->taken, link->row, header.seq))
            fail("a number was taken twice");
        look_at(path, &header, &came, count, counted, strays);
        pending_bytes[pending_count] = data;
        pending[pending_count++] = datagram;
        return;
    }
    if (came.count)
        fail("something came of what was not taken");
    path_clear(path); /* the engine's answers */
    if (fate == ENGINE_HEARD && (!parsed || header.type != WIRE_KEEPALIVE ||
                                !note(controls(link, choices), link->row, header.seq)))
        fail("what is no new KEEPALIVE was heard");
    if (fate == ENGINE_SLOW && (datagram->data != data || datagram->size != size || memcmp(data, bytes, size)))
        fail("what is for Python was changed");
    free(data);
    free(datagram);
}

/* Makes a segment of one TCP stream, or some bytes. */
static size_t make_payload(struct input *input, uint8_t *payload, size_t size, int choices, int kind) {
    size_t start = choices & LAYER2 ? ETHERNET_HEADER : 0, headers = start + IPV4_HEADER + TCP_HEADER;
    memset(payload, 0, size);
    if (!(kind & MADE) || size < headers) {
        for (size_t at = 0; at < size && input->size; at++)
            payload[at] = next(input);
        return size;
    }
    uint8_t *ip = payload + start, *tcp = ip + IPV4_HEADER;
    size_t length = size - headers;
    if (start)
        put_be16(payload + 12, 0x0800);
    ip[0] = 0x45;
    put_be16(ip + 2, (uint16_t)(size - start));
    put_be16(ip + 4, (uint16_t)data_seq);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = TCP;
    put_be16(ip + 10, checksum_ipv4(ip, IPV4_HEADER));
    put_be32(tcp + 4, (uint32_t)(data_seq * length));
    tcp[12] = 5 << 4;
    tcp[TCP_FLAGS] = ACK;
    uint64_t sum = checksum_pseudo(ip + 12, 8, TCP, (uint32_t)(TCP_HEADER + length));
    put_be16(tcp + TCP_CHECKSUM, checksum_of(sum + checksum_sum(tcp, TCP_HEADER + length)));
    return size;
}

/* The next number, one nearby, or any. */
static uint64_t number_from(struct input *input, uint64_t *last, int kind) {
    if (kind & FAR)
        return kind & REPEAT ? next64(input) : *last + (uint64_t)(int64_t)(int16_t)(next(input) << 8 | next(input));
    if (kind & REPEAT)
        return *last - next(input);
    *last += 1 + (next(input) & 1 ? next(input) % 8 : 0);
    return *last;
}

static void receive_sealed(struct input *input, struct link *link, int number, int choices) {
    static uint8_t bytes[WIRE_HEADER_SIZE + WIRE_MAC_SIZE + PAYLOAD];
    int kind = next(input), more = next(input);
    uint64_t seq = number_from(input, &link->seq, kind & (REPEAT | FAR));
    struct wire_header header = {
        .type = kind & FOREIGN ? (uint8_t)(more % WIRE_TYPES) : WIRE_DATA,
        .reorder = !(kind & UNNUMBERED),
        .timestamp = (uint16_t)((int64_t)(now * 1000) - next(input)),
        .timestamp_reply = more & 1 ? WIRE_NO_TIMESTAMP : (uint16_t)((int64_t)(now * 1000) - next(input)),
        .flow_id = link->flow.flow_id + (more % 64 == 63),
        .seq = seq,
        .data_seq = number_from(input, &data_seq, more >> 1 & (REPEAT | FAR)),
    };
    if (kind & STRANGE) {
        header.timestamp = (uint16_t)next64(input);
        header.timestamp_reply = (uint16_t)next64(input);
    }
    bool is_clear = choices & CLEAR && header.type == WIRE_DATA;
    uint8_t *payload = bytes + WIRE_HEADER_SIZE + (is_clear ? 0 : WIRE_MAC_SIZE);
    size_t size = make_payload(input, payload, (size_t)(next(input) << (more >> 6)), choices, kind);
    if (!is_clear) {
        uint8_t nonce[WIRE_NONCE_SIZE];
        wire_nonce(header.flow_id, header.seq, nonce);
        crypto_secretbox_detached(payload, bytes + WIRE_HEADER_SIZE, payload, size, nonce, engine->key);
        size += WIRE_MAC_SIZE;
    }
    header.length = (uint16_t)size;
    wire_pack(&header, bytes);
    struct address source = address_of(more % 32 == 31 ? LINKS : number);
    take(link, bytes, WIRE_HEADER_SIZE + size, &source, choices);
    if (choices & TWICE) /* it came twice */
        take(link, bytes, WIRE_HEADER_SIZE + size, &source, choices);
}

static void receive_raw(struct input *input, struct link *link, int number, int choices) {
    uint8_t bytes[256];
    size_t size = next(input);
    for (size_t at = 0; at < size; at++)
        bytes[at] = next(input);
    if (size >= WIRE_HEADER_SIZE && bytes[0]) /* behind the length */
        wire_put16(bytes, (uint16_t)(size - WIRE_HEADER_SIZE));
    struct address source = address_of(number);
    take(link, bytes, size, &source, choices);
}

/* Does what Python does with a control packet of the link's flow. */
static void receive_control(struct input *input, struct link *link, int choices) {
    struct wire_header header = {
        .type = WIRE_KEEPALIVE,
        .timestamp = (uint16_t)next64(input),
        .timestamp_reply = WIRE_NO_TIMESTAMP,
        .seq = number_from(input, &link->seq, next(input) & (REPEAT | FAR)),
    };
    bool newest = header.seq > link->flow.window.newest;
    if (!replay_accept(&link->flow.window, header.seq))
        return;
    note(controls(link, choices), link->row, header.seq);
    receiver_measure(receiver, &link->path, &header, &link->flow, newest, true, now);
    path_hear(&link->path, now);
}

static void pass_time(struct input *input) {
    uint8_t time = next(input);
    now += time & 1 ? time * 0.05 : time * 0.0005;
    receiver_refresh(receiver, now);
    if (!receiver->reorder)
        return;
    struct packet_list came = {0};
    reorder_expire(receiver->reorder, now, &came);
    for (const struct packet *packet = came.first; packet; packet = packet->next)
        if (!note(delivered, row, packet->data_seq))
            fail("a packet was delivered twice, late");
    if (reorder_deadline(receiver->reorder) <= now)
        fail("something is held for too long");
    packet_list_join(&out, &came);
}

/* Life. */

static void begin(struct input *input, int choices) {
    size_t size = SIZES[next(input) % (sizeof SIZES / sizeof *SIZES)];
    static bool initialised;
    if (!initialised && sodium_init() < 0)
        fail("no libsodium");
    initialised = true;
    row++;
    now = 1000.0;
    data_seq = FIRST;
    static const uint8_t KEY[RETRANSMISSIONS_KEY];
    engine = engine_new(choices & LAYER2, KEY);
    if (!engine)
        fail("no memory");
    engine->cleartext_data = choices & CLEAR;
    receiver = &engine->receiver;
    receiver_take_first(receiver, choices & COPIES);
    struct packet_list none = {0};
    if (!receiver_resize(receiver, size, &none))
        fail("no memory");
    memset(engine->key, 7, sizeof engine->key);
    for (int number = 0; number < LINKS; number++) {
        struct link *link = &links[number];
        struct path_state *path = &link->path;
        *path = (struct path_state){
            .number = number, .name = number, .peer = address_of(number), .epoch = PATH_NO_EPOCH};
        path->status = PATH_AUTHOK;
        path->heard_at = path->numbered_at = path->up_at = now;
        answers_begin(&path->answers);
        link->flow.flow_id = (uint32_t)number;
        link->seq = 0;
        if (!path_table_add(&engine->table, path))
            fail("no memory");
    }
    for (int number = 0; number < LINKS; number++)
        begin_flow(&links[number], choices);
}

static void end(int choices) {
    if (receiver->reorder) {
        reorder_flush(receiver->reorder, &out);
        if (receiver->reorder->held)
            fail("something is held after all was released");
    }
    packet_list_join(&out, &receiver->freed);
    deliver(choices);
    for (int number = 0; number < LINKS; number++) {
        peer_flow_end(&links[number].flow);
        path_clear(&links[number].path);
    }
    engine_free(engine);
    packet_trim(); /* so that a lost packet, or one used after it was freed, is seen */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    int choices = next(&input);
    begin(&input, choices);
    for (int steps = 0; input.size && steps < MOST_STEPS; steps++) {
        int step = next(&input), number = step / 16 % LINKS;
        struct link *link = &links[number];
        switch (step % 16) {
        case 0:
            receive_raw(&input, link, number, choices);
            break;
        case 1:
            receive_control(&input, link, choices);
            break;
        case 2:
            change_link(&input, link, choices);
            break;
        case 3:
            pass_time(&input);
            break;
        case 4:
            deliver(choices);
            break;
        default:
            receive_sealed(&input, link, number, choices);
        }
    }
    end(choices);
    return 0;
}
