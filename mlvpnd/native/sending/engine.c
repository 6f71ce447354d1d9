#include "sending/engine.h"

#include <stdlib.h>
#include <string.h>

#include "wire/box.h"

struct engine *engine_new(bool layer2, const uint8_t *key) {
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->layer2 = layer2;
    engine->outer = ENGINE_OUTER_IPV4;
    receiver_begin(&engine->receiver, &engine->table);
    paced_begin(&engine->paced);
    retransmissions_begin(&engine->retransmissions, key);
    return engine;
}

void engine_free(struct engine *engine) {
    receiver_end(&engine->receiver);
    paced_end(&engine->paced);
    weighted_end(&engine->weighted);
    retransmissions_end(&engine->retransmissions);
    flow_index_end(&engine->flows);
    path_table_end(&engine->table);
    free(engine->programs);
    free(engine);
}

bool engine_set_programs(struct engine *engine, engine_filter filter, const void *const *programs, size_t count) {
    const void **own = malloc((count + 1) * sizeof *own);
    if (!own)
        return false;
    if (count)
        memcpy(own, programs, count * sizeof *own);
    free(engine->programs);
    engine->programs = own;
    engine->program_count = count;
    engine->filter = filter;
    return true;
}

struct path_state *engine_path(const struct engine *engine, int32_t number) {
    const struct path_table *table = &engine->table;
    /* Links are numbered from 0 without a gap, until a reload removes one. */
    if (number >= 0 && (size_t)number < table->count && table->paths[number]->number == number)
        return table->paths[number];
    for (size_t index = 0; index < table->count; index++)
        if (table->paths[index]->number == number)
            return table->paths[index];
    return NULL;
}

/* Out. */

void engine_emit(struct engine *engine, struct path_state *path, const struct address *to, enum wire_type type,
                 struct packet *packet, double now) {
    uint64_t seq = path->next_seq++;
    if (type != WIRE_DATA || !engine->cleartext_data) {
        uint8_t nonce[WIRE_NONCE_SIZE];
        wire_nonce(path->flow_id, seq, nonce);
        box_seal(packet->data, packet->size, nonce, engine->key);
        packet->data -= WIRE_MAC_SIZE;
        packet->size += WIRE_MAC_SIZE;
    }
    struct wire_header header = {
        .length = (uint16_t)packet->size,
        .type = (uint8_t)type,
        .reorder = packet->reorder,
        .timestamp = rtt_stamp(now),
        .timestamp_reply = echo_take(&path->echo, now),
        .flow_id = path->flow_id,
        .seq = seq,
        .data_seq = packet->data_seq,
    };
    packet->data -= WIRE_HEADER_SIZE;
    packet->size += WIRE_HEADER_SIZE;
    wire_pack(&header, packet->data);
    path->sent_at = now;
    path->packets_sent++;
    path->bytes_sent += packet->size;
    if (!path_queue(path, to, packet))
        packet_free(packet);
}

static bool engine_matches(const struct engine *engine, const uint8_t *data, size_t size) {
    for (size_t index = 0; index < engine->program_count; index++)
        if (engine->filter(engine->programs[index], data, (unsigned)size, (unsigned)size))
            return true;
    return false;
}

bool engine_is_directed(struct engine *engine, const struct packet *packet, double now) {
    if (engine->asks || !engine->program_count)
        return engine->asks;
    struct piece piece;
    if (!piece_of(packet->data, packet->size, engine->layer2, &piece))
        return engine_matches(engine, packet->data, packet->size);
    if (piece.name_size && !piece.first) {
        int decision = fragments_find(&engine->fragments, piece.name, piece.name_size, now);
        if (decision >= 0)
            return decision;
    }
    /* On a match, Python looks more closely and notes its decision. Here, only "nothing matches" is noted. */
    if (engine_matches(engine, packet->data, packet->size) ||
        (piece.rest &&
         engine_matches(engine, engine->plain, piece_plain(&piece, packet->data, packet->size, engine->plain))))
        return true;
    if (piece.first)
        fragments_note(&engine->fragments, piece.name, piece.name_size, 0, now);
    return false;
}

static void engine_drop(struct engine *engine, enum drop reason, struct packet *packet) {
    engine->drops[reason]++;
    packet_free(packet);
}

void engine_schedule(struct engine *engine, struct packet *packet, double now) {
    int64_t datagram = (int64_t)WIRE_HEADER_SIZE + packet->size + WIRE_MAC_SIZE;
    if (datagram > WIRE_MAX_DATAGRAM_SIZE) {
        engine_drop(engine, DROP_TOO_LONG, packet);
        return;
    }
    if (engine->is_paced) {
        uint32_t flow;
        enum inner_kind kind = inner_classify(packet->data, packet->size, engine->layer2, &flow);
        packet->line_size = (uint32_t)(engine->outer + datagram);
        packet->reorder = false;
        packet->data_seq = 0;
        paced_put(&engine->paced, kind, flow, packet, engine_nanoseconds(now));
        return;
    }
    int32_t number = weighted_pick(&engine->weighted, datagram);
    struct path_state *path = number < 0 ? NULL : engine_path(engine, number);
    if (!path) {
        engine_drop(engine, DROP_NO_LINK, packet);
        return;
    }
    packet->data_seq = engine->paced.next_data_seq++;
    packet->reorder = true;
    if (path->peer.size)
        engine_emit(engine, path, &path->peer, WIRE_DATA, packet, now);
    else
        packet_free(packet);
}

void engine_pump(struct engine *engine, double now) {
    if (!engine->is_paced)
        return;
    struct packet_list due = {0};
    struct packet *packet;
    int64_t at = engine_nanoseconds(now);
    bool notes = engine->notes && !paced_is_settling(&engine->paced, at);
    paced_take(&engine->paced, at, &due);
    while ((packet = packet_list_pop(&due))) {
        struct path_state *path = engine_path(engine, packet->link);
        if (packet->reorder && notes) {
            uint8_t name[INNER_LONGEST_NAME];
            size_t size = inner_segment(packet->data, packet->size, engine->layer2, name);
            if (size)
                retransmissions_sent(&engine->retransmissions, packet->link, name, size, packet->line_size);
        }
        if (path && path->peer.size)
            engine_emit(engine, path, &path->peer, WIRE_DATA, packet, now);
        else
            packet_free(packet);
    }
}

/* In. */

bool engine_is_usual(const struct path_state *path, const struct packet *datagram) {
    struct wire_header header;
    return wire_parse(datagram->data, datagram->size, &header) == DROP_REASONS && header.type == WIRE_DATA &&
           path_up(path) && path_has_flow(path) && header.flow_id == path->flow->flow_id;
}

static enum engine_fate engine_refuse(struct path_state *path, enum drop reason) {
    path->drops[reason]++;
    return ENGINE_DROPPED;
}

/* Whether a plaintext fits the type of its datagram. */
static bool engine_is_expected(const struct engine *engine, uint8_t type, const uint8_t *plaintext, size_t size) {
    if (type == WIRE_DATA)
        return inner_packet_from(plaintext, size, engine->layer2) > 0;
    const struct wire_control *control = &WIRE_CONTROL[type];
    return size == control->size && (!control->only || memcmp(plaintext, control->only, size) == 0);
}

/* Why the gate refuses a datagram for the contents of its box; DROP_REASONS: it does not. Changes no byte. */
static enum drop engine_look_into(const struct engine *engine, const struct wire_header *header, uint8_t *payload) {
    if (header->length < WIRE_MAC_SIZE)
        return DROP_NOT_AUTHENTIC;
    uint8_t nonce[WIRE_NONCE_SIZE], *text = payload + WIRE_MAC_SIZE;
    size_t size = header->length - WIRE_MAC_SIZE;
    wire_nonce(header->flow_id, header->seq, nonce);
    if (!box_verify(text, size, nonce, engine->key))
        return DROP_NOT_AUTHENTIC;
    box_open(text, size, nonce, engine->key);
    bool expected = engine_is_expected(engine, header->type, text, size);
    box_seal(text, size, nonce, engine->key); /* the same bytes again */
    return expected ? DROP_REASONS : DROP_BAD_PLAINTEXT;
}

/* Whether a link is up with this flow, and has heard it within PROTOCOL_SILENCE. */
static bool engine_lives(const struct engine *engine, const struct peer_flow *flow, double now) {
    for (size_t index = 0; index < engine->table.count; index++) {
        const struct path_state *path = engine->table.paths[index];
        if (path->flow == flow && path_up(path) && now < path->heard_at + PROTOCOL_SILENCE)
            return true;
    }
    return false;
}

/* Whether Handshake.tell_end would say DISCONNECT. */
static bool engine_tells_end(const struct path_state *path, uint8_t type, double now) {
    return (type == WIRE_KEEPALIVE || type == WIRE_DATA) && path->ready &&
           now >= path->last_disconnect_at + PROTOCOL_DISCONNECT_INTERVAL;
}

/* Whether Python may act on an authentic packet of an unknown session: by Handshake.answer_stranger, or by tell_end on a
   link that is disabled. */
static bool engine_is_answered(const struct engine *engine, const struct path_state *path, uint8_t type, double now) {
    if (!path->enabled)
        return engine_tells_end(path, type, now);
    if (!engine->is_server)
        return path_up(path) && now >= path->last_auth_at + PROTOCOL_AUTH_INTERVAL;
    return (!path_up(path) || now >= path->heard_at + PROTOCOL_SILENCE) && engine_tells_end(path, type, now);
}

/* A datagram of any flow but the link's own. If Gate.admit would refuse it, it is refused; else it is for Python. */
static enum engine_fate engine_take_foreign(struct engine *engine, struct path_state *path,
                                            const struct wire_header *header, uint8_t *payload, double now) {
    const struct known_flow *known = flow_index_find(&engine->flows, header->flow_id);
    if (known && known->kind == FLOW_OWN)
        return engine_refuse(path, DROP_REFLECTED);
    const struct peer_flow *flow = known ? known->flow : NULL;
    enum wire_introduces by = WIRE_CONTROL[header->type].introduces;
    bool introduces = engine->is_server ? by == WIRE_BY_CLIENT : by == WIRE_BY_SERVER && path->unanswered_auths > 0;
    bool elsewhere = flow && flow->link != path->name;
    if (elsewhere && (!introduces || engine_lives(engine, flow, now)))
        return engine_refuse(path, DROP_WRONG_LINK);
    if (header->type == WIRE_DATA && engine->cleartext_data)
        return engine_refuse(path, DROP_CLEAR_NOT_ALLOWED);
    if (flow && !replay_may_accept(&flow->window, header->seq))
        return engine_refuse(path, DROP_REPLAYED);
    enum drop reason = engine_look_into(engine, header, payload);
    if (reason != DROP_REASONS)
        return engine_refuse(path, reason);
    if (elsewhere && header->seq <= flow->window.newest)
        return engine_refuse(path, DROP_WRONG_LINK);
    if (!flow && !introduces && !engine_is_answered(engine, path, header->type, now))
        return engine_refuse(path, path->enabled ? DROP_UNKNOWN_FLOW : DROP_DISABLED);
    return ENGINE_SLOW;
}

/* Measures and counts a packet of the link's flow. */
static void engine_note(struct engine *engine, struct path_state *path, const struct wire_header *header, bool newest,
                        bool authentic, double now) {
    receiver_measure(&engine->receiver, path, header, path->flow, newest, authentic, now);
    path->packets_received++;
    path->bytes_received += WIRE_HEADER_SIZE + header->length;
    if (authentic)
        path_hear(path, now);
}

static void engine_answer(struct engine *engine, struct path_state *path, double now) {
    if (!answers_one(&path->answers, now, path->sent_at))
        return;
    struct packet *packet = packet_new(0);
    if (!packet)
        return;
    packet->reorder = true; /* as in all control packets; their data_seq is 0 */
    engine_emit(engine, path, &path->peer, WIRE_KEEPALIVE, packet, now);
}

/* Clear DATA of the link's own flow. */
static enum engine_fate engine_take_clear(struct engine *engine, struct path_state *path,
                                          const struct wire_header *header, struct packet *datagram,
                                          const struct address *source, double now, struct packet_list *out) {
    if (!path_up(path) || !address_equal(source, &path->peer))
        return engine_refuse(path, DROP_CLEAR_NOT_ALLOWED);
    size_t size = inner_packet_from(datagram->data + WIRE_HEADER_SIZE, header->length, engine->layer2);
    if (!size)
        return engine_refuse(path, DROP_BAD_PLAINTEXT);
    if (!path->flow->has_clear) /* the first one; Python makes the window */
        return ENGINE_SLOW;
    if (!clear_accept(&path->flow->clear, header->seq))
        return engine_refuse(path, DROP_REPLAYED);
    engine_note(engine, path, header, false, false, now);
    datagram->data += WIRE_HEADER_SIZE;
    datagram->size = (uint32_t)size;
    receiver_receive(&engine->receiver, path, header, datagram, now, out);
    return ENGINE_DATA;
}

enum engine_fate engine_take(struct engine *engine, struct path_state *path, struct packet *datagram,
                             const struct address *source, double now, struct packet_list *out) {
    struct wire_header header;
    enum drop reason = wire_parse(datagram->data, datagram->size, &header);
    if (reason != DROP_REASONS)
        return engine_refuse(path, reason);
    struct peer_flow *flow = path->flow;
    uint8_t *payload = datagram->data + WIRE_HEADER_SIZE;
    if (!path_has_flow(path) || header.flow_id != flow->flow_id)
        return engine_take_foreign(engine, path, &header, payload, now);
    if (header.type == WIRE_DATA && engine->cleartext_data)
        return engine_take_clear(engine, path, &header, datagram, source, now, out);
    if (!replay_may_accept(&flow->window, header.seq))
        return engine_refuse(path, DROP_REPLAYED);
    /* For Python: other types, another source address, and a link that is down or distrusted. */
    if ((header.type != WIRE_DATA && header.type != WIRE_KEEPALIVE) || !path_up(path) || path->distrusted ||
        !address_equal(source, &path->peer)) {
        reason = engine_look_into(engine, &header, payload);
        return reason == DROP_REASONS ? ENGINE_SLOW : engine_refuse(path, reason);
    }
    if (header.length < WIRE_MAC_SIZE)
        return engine_refuse(path, DROP_NOT_AUTHENTIC);
    uint8_t nonce[WIRE_NONCE_SIZE], *plaintext = payload + WIRE_MAC_SIZE;
    size_t size = header.length - WIRE_MAC_SIZE;
    wire_nonce(header.flow_id, header.seq, nonce);
    if (!box_open(plaintext, size, nonce, engine->key))
        return engine_refuse(path, DROP_NOT_AUTHENTIC);
    bool is_data = header.type == WIRE_DATA;
    if (is_data)
        size = inner_packet_from(plaintext, size, engine->layer2);
    if (is_data ? !size : size)
        return engine_refuse(path, DROP_BAD_PLAINTEXT);
    bool newest = header.seq > flow->window.newest;
    replay_accept(&flow->window, header.seq);
    engine_note(engine, path, &header, newest, true, now);
    if (!is_data) {
        engine_answer(engine, path, now);
        return ENGINE_HEARD;
    }
    datagram->data = plaintext;
    datagram->size = (uint32_t)size;
    receiver_receive(&engine->receiver, path, &header, datagram, now, out);
    return ENGINE_DATA;
}
