#include "receiving/receiver.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_PATHS = 256 }; /* that can be waited for; a tunnel has at most 128 links (MAX_LINKS) */

void receiver_begin(struct receiver *receiver, const struct path_table *table) {
    *receiver = (struct receiver){
        .table = table,
        .numbered_at = -INFINITY,
        .numbered_since = -INFINITY,
        .update_at = -INFINITY,
    };
}

static void receiver_free_reorder(struct receiver *receiver) {
    if (receiver->reorder)
        reorder_end(receiver->reorder);
    free(receiver->reorder);
    receiver->reorder = NULL;
}

void receiver_end(struct receiver *receiver) {
    packet_list_free(&receiver->freed);
    receiver_free_reorder(receiver);
}

bool receiver_resize(struct receiver *receiver, size_t size, struct packet_list *held) {
    struct reorder_buffer *buffer = size ? malloc(sizeof *buffer) : NULL;
    if (size && (!buffer || !reorder_begin(buffer, size, RECEIVER_UNKNOWN_SPREAD))) {
        free(buffer);
        return false;
    }
    if (receiver->reorder)
        reorder_flush(receiver->reorder, held);
    receiver_free_reorder(receiver);
    receiver->reorder = buffer;
    for (size_t index = 0; index < receiver->table->count; index++)
        receiver->table->paths[index]->epoch = PATH_NO_EPOCH;
    receiver->update_at = -INFINITY;
    return true;
}

void receiver_take_first(struct receiver *receiver, bool takes_first) {
    if (takes_first && !receiver->takes_first)
        copies_begin(&receiver->copies);
    receiver->takes_first = takes_first;
}

/* The links that may bring a missing number. */
static size_t receiver_awaited(const struct path_table *table, double now, double data_since,
                               struct path_state **links) {
    size_t up = 0, count = 0;
    struct path_state *all[MOST_PATHS];
    for (size_t index = 0; index < table->count && up < MOST_PATHS; index++) {
        struct path_state *path = table->paths[index];
        if (path_up(path) && !path->distrusted)
            all[up++] = path;
    }
    for (size_t index = 0; index < up; index++) {
        struct path_state *path = all[index];
        double since = path->up_at > data_since ? path->up_at : data_since;
        if (now - path->numbered_at < RECEIVER_DATA_RECENT ||
            (now - since < RECEIVER_DATA_RECENT && !path->fallback_only))
            links[count++] = path;
    }
    if (!count)
        for (; count < up; count++)
            links[count] = all[count];
    return count;
}

/* Seconds that a hole is worth waiting for. */
static double receiver_reorder_wait(struct path_state *const *links, size_t count) {
    const struct transit *transits[MOST_PATHS];
    bool all_known = count > 0;
    for (size_t index = 0; index < count; index++) {
        transits[index] = &links[index]->transit;
        all_known = all_known && transits[index]->has_sample;
    }
    double wait = (1 + RECEIVER_GROWTH) * transit_spread_ms(transits, count) / 1000 + RECEIVER_MIN_WAIT;
    if (!all_known && wait < RECEIVER_UNKNOWN_SPREAD)
        wait = RECEIVER_UNKNOWN_SPREAD;
    return wait < RECEIVER_MAX_WAIT ? wait : RECEIVER_MAX_WAIT;
}

void receiver_update(struct receiver *receiver, double now) {
    receiver->update_at = now + PROTOCOL_WAIT_INTERVAL;
    if (!receiver->reorder)
        return;
    struct path_state *links[MOST_PATHS];
    for (size_t index = 0; index < receiver->table->count; index++)
        transit_note(&receiver->table->paths[index]->transit);
    size_t count = receiver_awaited(receiver->table, now, receiver->numbered_since, links);
    receiver->reorder->wait = receiver_reorder_wait(links, count);
    struct reorder_link waited[MOST_PATHS];
    size_t waited_count = 0;
    for (size_t index = 0; index < count; index++) {
        struct path_state *path = links[index];
        if (path->epoch == PATH_NO_EPOCH || path->epoch == receiver->epoch)
            waited[waited_count++] = (struct reorder_link){path->number, disorder_seconds(&path->disorder, now)};
    }
    reorder_set_links(receiver->reorder, waited, waited_count);
}

/* Whether no numbered data came for RECEIVER_DATA_RECENT: nothing can be held, and the next numbered packet updates. */
static bool receiver_is_idle(const struct receiver *receiver, double now) {
    return now - receiver->numbered_at >= RECEIVER_DATA_RECENT;
}

void receiver_refresh(struct receiver *receiver, double now) {
    if (now >= receiver->update_at && !receiver_is_idle(receiver, now))
        receiver_update(receiver, now);
}

void receiver_measure(struct receiver *receiver, struct path_state *path, const struct wire_header *header,
                      struct peer_flow *flow, bool newest, bool authentic, double now) {
    struct loss_meter *meter = path->measures_loss ? &path->loss : NULL;
    if (!authentic) { /* whoever forges the peer's address can forge it, with stamp and number */
        if (meter && loss_is_behind(meter, header->seq))
            loss_received(meter, header->seq, now, 0); /* overtaken by the packet that vouches for its number */
        return;
    }
    bool risen = transit_received(&path->transit, header->timestamp, now);
    if ((disorder_received(&path->disorder, header->seq, now) || risen) && !receiver_is_idle(receiver, now))
        receiver_update(receiver, now);
    struct clear_window *clear = flow->has_clear ? &flow->clear : NULL;
    if (meter) {
        /* Clear DATA proves nothing. This packet is authentic, and vouches for the clear numbers before its own. */
        int64_t others = newest && clear ? (int64_t)clear_count(clear, loss_next(meter), header->seq) : 0;
        loss_received(meter, header->seq, now, others);
    }
    if (newest && clear)
        clear_anchor(clear, flow->window.newest);
    echo_received(&path->echo, header->timestamp, now);
    rtt_received(&path->rtt, header->timestamp_reply, now);
}

/* Takes a numbered packet of a flow whose epoch is not known yet, or is an older one. */
static void receiver_of_other_epoch(struct receiver *receiver, struct path_state *path, struct packet *packet,
                                    double now, struct packet_list *out) {
    struct reorder_buffer *buffer = receiver->reorder;
    if (path->epoch == PATH_NO_EPOCH) {
        int anew = reorder_is_anew(buffer, packet->data_seq, now, PROTOCOL_RECLAIM_GRACE);
        if (anew < 0) {
            reorder_push(buffer, packet, now, path->number, out);
            return;
        }
        if (anew) {
            receiver->epoch++;
            receiver->epoch_began = now;
            reorder_flush(buffer, out);
        }
    } else if (now < receiver->epoch_began + PROTOCOL_RECLAIM_GRACE) {
        packet_list_push(out, packet);
        return;
    }
    /* An older flow gets here after the grace: nothing is under way so long from before a restart. */
    path->epoch = receiver->epoch;
    receiver_update(receiver, now);
    reorder_push(buffer, packet, now, path->number, out);
}

void receiver_receive(struct receiver *receiver, struct path_state *path, const struct wire_header *header,
                      struct packet *packet, double now, struct packet_list *out) {
    if (!header->reorder) {
        if (!receiver->takes_first || copies_is_first(&receiver->copies, header->data_seq)) {
            packet_list_push(out, packet);
        } else {
            path->drops[DROP_COPY]++;
            packet_free(packet);
        }
        return;
    }
    if (!receiver->reorder) {
        packet_list_push(out, packet);
        return;
    }
    bool returned = now - path->numbered_at >= RECEIVER_DATA_RECENT;
    path->numbered_at = now;
    if (returned) {
        if (now - receiver->numbered_at >= RECEIVER_DATA_RECENT)
            receiver->numbered_since = now;
        receiver_update(receiver, now);
    }
    receiver->numbered_at = now;
    packet->data_seq = header->data_seq;
    if (path->epoch != receiver->epoch)
        receiver_of_other_epoch(receiver, path, packet, now, out);
    else
        reorder_push(receiver->reorder, packet, now, path->number, out);
}

static void receiver_release(struct receiver *receiver) {
    if (receiver->reorder)
        reorder_flush(receiver->reorder, &receiver->freed);
}

void receiver_begin_flow(struct receiver *receiver, struct path_state *path, double now) {
    path->epoch = PATH_NO_EPOCH;
    receiver_update(receiver, now);
    for (size_t index = 0; index < receiver->table->count; index++) {
        const struct path_state *other = receiver->table->paths[index];
        if (path_up(other) && other->epoch == receiver->epoch)
            return;
    }
    receiver_release(receiver);
}

void receiver_lose(struct receiver *receiver, double now) {
    for (size_t index = 0; index < receiver->table->count; index++)
        if (path_up(receiver->table->paths[index])) {
            receiver_update(receiver, now);
            if (receiver->reorder)
                reorder_expire(receiver->reorder, now, &receiver->freed);
            return;
        }
    receiver_release(receiver);
}

void receiver_stood_still(struct receiver *receiver) {
    for (size_t index = 0; index < receiver->table->count; index++)
        transit_forget_high(&receiver->table->paths[index]->transit);
}
