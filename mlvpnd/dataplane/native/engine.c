#include "engine.h"

#include "box.h"

struct path_state *engine_path(const struct engine *engine, int32_t number) {
    const struct path_table *table = engine->table;
    /* They are numbered from 0, until a reload takes one away. */
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
        .timestamp_reply = echo_take(path->echo, now),
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

static bool matches(const struct engine *engine, const uint8_t *data, size_t size) {
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
        return matches(engine, packet->data, packet->size);
    if (piece.name_size && !piece.first) {
        int decision = fragments_find(engine->fragments, piece.name, piece.name_size, now);
        if (decision >= 0)
            return decision;
    }
    /* Python looks more closely, and notes what it decides: here it is enough that nothing matches. */
    if (matches(engine, packet->data, packet->size) ||
        (piece.rest && matches(engine, engine->plain, piece_plain(&piece, packet->data, packet->size, engine->plain))))
        return true;
    if (piece.first)
        fragments_note(engine->fragments, piece.name, piece.name_size, 0, now);
    return false;
}

static void drop(struct engine *engine, enum drop reason, struct packet *packet) {
    engine->drops[reason]++;
    packet_free(packet);
}

void engine_schedule(struct engine *engine, struct packet *packet, double now) {
    int64_t datagram = (int64_t)WIRE_HEADER_SIZE + packet->size + WIRE_MAC_SIZE;
    if (datagram > WIRE_MAX_DATAGRAM_SIZE) {
        drop(engine, DROP_TOO_LONG, packet);
        return;
    }
    if (engine->is_paced) {
        uint32_t flow;
        enum inner_kind kind = inner_classify(packet->data, packet->size, engine->layer2, &flow);
        packet->line_size = (uint32_t)(engine->outer + datagram);
        packet->reorder = false;
        packet->data_seq = 0;
        paced_put(engine->paced, kind, flow, packet, engine_nanoseconds(now));
        return;
    }
    int32_t number = weighted_pick(engine->weighted, datagram);
    struct path_state *path = number < 0 ? NULL : engine_path(engine, number);
    if (!path) {
        drop(engine, DROP_NO_LINK, packet);
        return;
    }
    packet->data_seq = engine->paced->next_data_seq++;
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
    bool notes = engine->notes && !paced_settles(engine->paced, at);
    paced_take(engine->paced, at, &due);
    while ((packet = packet_list_pop(&due))) {
        struct path_state *path = engine_path(engine, packet->link);
        if (packet->reorder && notes) {
            uint8_t name[INNER_LONGEST_NAME];
            size_t size = inner_segment(packet->data, packet->size, engine->layer2, name);
            if (size)
                retransmissions_sent(engine->retransmissions, packet->link, name, size, packet->line_size);
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
           path_up(path) && path->flow && path->flow_is_here && header.flow_id == path->flow->flow_id;
}

static enum engine_fate refuse(struct path_state *path, enum drop reason) {
    path->drops[reason]++;
    return ENGINE_DROPPED;
}

enum engine_fate engine_take(struct engine *engine, struct path_state *path, struct packet *datagram,
                             const struct address *source, double now, struct packet_list *out) {
    struct wire_header header;
    enum drop reason = wire_parse(datagram->data, datagram->size, &header);
    if (reason != DROP_REASONS)
        return refuse(path, reason);
    const struct peer_flow *flow = path->flow;
    uint8_t *payload = datagram->data + WIRE_HEADER_SIZE;
    size_t size = header.length;
    bool newest = false, authentic = header.type != WIRE_DATA || !engine->cleartext_data;
    if (!flow || header.flow_id != flow->flow_id || !path->flow_is_here)
        return ENGINE_SLOW;
    /* What Python has to look at: any but DATA, from where the peer is, on a link that is up. */
    bool slow = header.type != WIRE_DATA || !path_up(path) || path->distrusted || !address_equal(source, &path->peer);
    if (slow && !authentic)
        return ENGINE_SLOW;
    if (!authentic) {
        if (!flow->clear)
            return ENGINE_SLOW;
        size = inner_packet_from(payload, size, engine->layer2);
        if (!size)
            return refuse(path, DROP_BAD_PLAINTEXT);
        if (!clear_accept(flow->clear, header.seq))
            return refuse(path, DROP_REPLAYED);
    } else {
        if (!replay_may_accept(flow->window, header.seq))
            return refuse(path, DROP_REPLAYED);
        if (size < WIRE_MAC_SIZE)
            return refuse(path, DROP_NOT_AUTHENTIC);
        uint8_t nonce[WIRE_NONCE_SIZE];
        wire_nonce(header.flow_id, header.seq, nonce);
        uint8_t *plaintext = payload + WIRE_MAC_SIZE;
        if (slow)
            return box_verify(plaintext, size - WIRE_MAC_SIZE, nonce, engine->key) ? ENGINE_SLOW
                                                                                  : refuse(path, DROP_NOT_AUTHENTIC);
        if (!box_open(plaintext, size - WIRE_MAC_SIZE, nonce, engine->key))
            return refuse(path, DROP_NOT_AUTHENTIC);
        payload = plaintext;
        size = inner_packet_from(payload, size - WIRE_MAC_SIZE, engine->layer2);
        if (!size)
            return refuse(path, DROP_BAD_PLAINTEXT);
        newest = header.seq > flow->window->newest;
        replay_accept(flow->window, header.seq);
    }
    receiver_measure(engine->receiver, path, &header, flow, newest, authentic, now);
    path->packets_received++;
    path->bytes_received += datagram->size;
    if (authentic)
        path_hear(path, now);
    datagram->data = payload;
    datagram->size = (uint32_t)size;
    receiver_receive(engine->receiver, path, &header, datagram, now, out);
    return ENGINE_DATA;
}
