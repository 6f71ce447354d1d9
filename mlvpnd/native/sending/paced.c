#include "sending/paced_parts.h"

#include <stdlib.h>
#include <string.h>

void paced_begin(struct paced *paced) {
    paced->queue.limit = LINE_LEAST_LIMIT;
    paced->express_line = -1;
    stretch_begin(&paced->stretch);
    for (size_t i = 0; i < FLOW_QUEUE_BUCKETS; i++)
        paced->bulk_at[i] = -PACED_SPARSE;
}

void paced_end(struct paced *paced) {
    for (size_t i = 0; i < paced->line_count; i++)
        line_free(paced->lines[i]);
    free(paced->lines);
    free(paced->ranked);
    free(paced->groups);
    flow_queue_clear(&paced->queue);
}

struct line *paced_first_line(struct paced *paced, int64_t now) {
    struct line *best = NULL;
    int64_t best_at = 0;
    for (size_t i = 0; i < paced->line_count; i++) {
        struct line *line = paced->lines[i];
        line_advance(line, now);
        int64_t at = line_express_at(line) + line->delay + (line->higher ? PACED_OVERFLOW : 0);
        if (line->number == paced->express_line)
            at -= PACED_STICKY;
        if (!best || at < best_at) {
            best = line;
            best_at = at;
        }
    }
    paced->express_line = best->number;
    return best;
}

static void paced_drop(struct paced *paced, struct packet *packet) {
    packet_free(packet);
    paced->dropped++;
}

/* Puts a packet first on a line; without memory for it, drops it. */
static void paced_keep_and_hurry(struct paced *paced, struct line *line, struct packet *packet) {
    struct packet *kept = packet_keep(packet);
    if (kept)
        line_push_first(line, kept);
    else
        paced->dropped++;
}

/* Packets in. */

/* Whether a packet goes into the common stream, because order matters to it. */
static bool paced_is_bulk(struct paced *paced, enum inner_kind kind, uint32_t flow, int64_t now) {
    int64_t *bulk_at = &paced->bulk_at[flow % FLOW_QUEUE_BUCKETS];
    if (kind == INNER_BULK) {
        *bulk_at = now;
        return true;
    }
    return kind == INNER_SHORT && now - *bulk_at < PACED_SPARSE;
}

/* The queue for a bulk packet: the common one. While some flows are stretched, another flow uses a near line's own
   queue, so that they do not delay it. */
static struct flow_queue *paced_queue_for(struct paced *paced, uint32_t flow, uint32_t size, int64_t now) {
    if (!paced->has_near)
        return &paced->queue;
    bool before = paced->stretch.count;
    int64_t carried = 0, best_at = 0;
    for (size_t i = 0; i < paced->groups[0].count; i++) {
        if (paced->ranked[i]->delay <= paced->reachable)
            carried += paced->ranked[i]->sent;
    }
    bool takes = stretch_admit(&paced->stretch, flow, size, now, carried, paced->near_rate);
    if ((bool)paced->stretch.count != before)
        paced_hold_back(paced, now);
    if (takes || !paced->stretch.count)
        return &paced->queue;
    struct line *best = NULL;
    for (size_t i = 0; i < paced->groups[0].count; i++) {
        struct line *line = paced->ranked[i];
        if (line->delay > paced->reachable)
            continue;
        line_advance(line, now);
        int64_t at = line->ready_at + line_time(line->express_bytes + line->own.bytes, line->rate) + line->delay;
        if (!best || at < best_at) {
            best = line;
            best_at = at;
        }
    }
    return &best->own;
}

/* Whether a line has room for an express packet. */
static inline bool paced_has_room(const struct line *line) {
    return line_time(line->express_bytes, line->rate) < LINE_EXPRESS_LIMIT;
}

/* The line on which a small packet goes first; NULL: its flow has had its share, or the line has no room. */
static struct line *paced_may_pass(struct paced *paced, uint32_t flow, uint32_t size, int64_t now) {
    int64_t share = max(paced->rate / (int64_t)(paced->queue.flows + 1), 1);
    int64_t *fair = &paced->fair[flow % FLOW_QUEUE_BUCKETS];
    int64_t cost = line_time(size, share);
    int64_t paid = max(*fair, now) + cost;
    if (paid - now > PACED_FAIR_BURST + cost)
        return NULL;
    struct line *line = paced_first_line(paced, now);
    if (!paced_has_room(line))
        return NULL;
    *fair = paid;
    return line;
}

void paced_put(struct paced *paced, enum inner_kind kind, uint32_t flow, struct packet *packet, int64_t now) {
    if (!paced->line_count) {
        paced_drop(paced, packet);
        return;
    }
    packet->data_seq = 0;
    packet->reorder = false;
    packet->after = 0;
    packet->flow = flow % FLOW_QUEUE_BUCKETS;
    struct line *line =
        paced_is_bulk(paced, kind, flow, now) ? NULL : paced_may_pass(paced, flow, packet->line_size, now);
    if (!line) {
        struct flow_queue *queue = paced_queue_for(paced, flow, packet->line_size, now);
        paced->dropped += flow_queue_push(queue, flow, packet);
        return;
    }
    paced_keep_and_hurry(paced, line, packet);
}

bool paced_put_on(struct paced *paced, int32_t number, struct packet *packet, uint32_t flow, int64_t now, bool first) {
    struct line *line = paced_line_of(paced, number);
    if (!line)
        return false;
    line_advance(line, now);
    packet->flow = flow % FLOW_QUEUE_BUCKETS;
    if ((packet->data_seq || first) && paced_has_room(line))
        paced_keep_and_hurry(paced, line, packet);
    else if (packet->data_seq) /* a copy goes first or not at all, because there is another */
        paced_drop(paced, packet);
    else
        paced->dropped += flow_queue_push(&line->own, flow, packet);
    return true;
}

/* Packets out. */

static int64_t paced_earliest_arrival(struct line *const *lines, size_t count) {
    int64_t earliest = INT64_MAX;
    for (size_t i = 0; i < count; i++)
        earliest = min(earliest, line_free_at(lines[i]) + lines[i]->delay);
    return earliest;
}

/* Nanoseconds. How late the group's lines must deliver a packet for a spare line to take it; now it would be `late`. */
static int64_t paced_patience(const struct paced *paced, const struct paced_group *group, int64_t late) {
    int64_t nearest = INT64_MAX;
    for (size_t i = 0; i < group->count; i++)
        nearest = min(nearest, paced->ranked[i]->delay + paced->ranked[i]->hold);
    int64_t farthest = nearest, alike = min(late, nearest * PACED_ALIKE / 100);
    for (size_t i = 0; i < group->count; i++) {
        int64_t delay = paced->ranked[i]->delay + paced->ranked[i]->hold;
        if (farthest < delay && delay <= alike)
            farthest = delay;
    }
    int64_t wait = min(max((group->nearest + farthest) * PACED_WAIT_SHARE / 100, PACED_OVERFLOW), PACED_LONGEST_WAIT);
    return max(farthest + wait, paced->reachable + PACED_SLACK);
}

/* The lines that take packets of the common stream now. */
static const struct paced_group *paced_open_group(const struct paced *paced, int64_t now) {
    const struct paced_group *group = paced->groups;
    for (; group->higher; group++) {
        int64_t arrival = paced_earliest_arrival(paced->ranked, group->count);
        int64_t late = arrival - now + line_time(paced->queue.bytes, group->rate);
        if (group->before_spare && late < paced_patience(paced, group, late))
            break;
        int64_t earliest = INT64_MAX;
        for (size_t i = group->count; i < group->count + group->higher; i++) {
            const struct line *line = paced->ranked[i];
            earliest = min(earliest, max(line_free_at(line) - now, 0) + line->delay);
        }
        if (late < earliest + (group->before_spare ? 0 : PACED_OVERFLOW))
            break;
    }
    return group;
}

static void paced_commit(struct paced *paced, int64_t now) {
    struct flow_queue *queue = &paced->queue;
    int64_t room = PACED_MOST_AHEAD;
    paced->commits_later = false;
    for (size_t i = 0; queue->bytes && i < paced->line_count; i++)
        room -= paced->lines[i]->committed_bytes;
    while (queue->bytes) {
        const struct paced_group *group = paced_open_group(paced, now);
        int64_t horizon = now + group->horizon, best_at = 0, start = 0;
        struct line *best = NULL;
        uint32_t size = flow_queue_next_size(queue);
        for (size_t i = 0; i < group->count; i++) {
            struct line *line = paced->ranked[i];
            int64_t begins = max(line_free_at(line), now + line->hold) + line->delay;
            int64_t at = begins + line_time(size, line->rate);
            if (!best || at < best_at) {
                best = line;
                best_at = at;
                start = begins;
            }
        }
        if (size > room)
            return;
        if (start > horizon) {
            paced->commits_later = !line_busy(best);
            paced->commit_at = start - group->horizon;
            return;
        }
        int64_t after = best->hold ? now + best->hold : 0;
        if (best->higher) { /* it may have been idle; packets of the lowest lines must arrive first */
            int64_t before = paced_earliest_arrival(paced->ranked, paced->groups[0].count);
            after = max(after, line_free_at(best) + max(before - best_at, 0));
        }
        struct packet *packet = flow_queue_pop(queue);
        if (!packet->reorder) /* else it keeps the number from a line that is gone */
            packet->data_seq = paced->next_data_seq++;
        packet->reorder = true;
        packet->after = after;
        line_commit(best, packet);
        room -= size;
    }
}

void paced_take(struct paced *paced, int64_t now, struct packet_list *out) {
    bool any = false;
    for (size_t i = 0; i < paced->line_count; i++)
        line_advance(paced->lines[i], now);
    paced_commit(paced, now);
    for (size_t i = 0; i < paced->line_count; i++) {
        struct packet *packet;
        while ((packet = line_take(paced->lines[i], now))) {
            packet->link = paced->lines[i]->number;
            packet_list_push(out, packet);
            any = true;
        }
    }
    if (any && paced->queue.bytes)
        paced_commit(paced, now);
}

int32_t paced_earliest(struct paced *paced, const int32_t *numbers, size_t count, int64_t now) {
    int32_t best = numbers[0];
    int64_t best_at = 0;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        struct line *line = paced_line_of(paced, numbers[i]);
        if (!line)
            continue;
        line_advance(line, now);
        int64_t at = line_free_at(line) + line->delay;
        if (!any || at < best_at) {
            best = numbers[i];
            best_at = at;
            any = true;
        }
    }
    return best;
}

void paced_drain(struct paced *paced, int64_t now, struct packet_list *out) {
    int64_t due;
    paced_take(paced, now, out);
    while (paced_due(paced, &due)) {
        now = max(now, due);
        paced_take(paced, now, out);
    }
}

bool paced_due(const struct paced *paced, int64_t *due) {
    bool busy = false;
    for (size_t i = 0; i < paced->line_count; i++) {
        const struct line *line = paced->lines[i];
        if (line_busy(line)) {
            int64_t at = line_due(line);
            *due = busy ? min(*due, at) : at;
            busy = true;
        }
    }
    if (!paced->queue.bytes)
        return busy;
    if (paced->commits_later) { /* one packet takes a slow line longer than it is committed ahead */
        *due = busy ? min(*due, paced->commit_at) : paced->commit_at;
    } else if (!busy) {
        *due = paced->ranked[0]->ready_at;
        for (size_t i = 1; i < paced->groups[0].count; i++)
            *due = min(*due, paced->ranked[i]->ready_at);
    }
    return true;
}

bool paced_is_settling(const struct paced *paced, int64_t now) {
    return stretch_is_settling(&paced->stretch, now);
}

int64_t paced_waiting_bytes(const struct paced *paced) {
    int64_t waiting = paced->queue.bytes;
    for (size_t i = 0; i < paced->line_count; i++) {
        const struct line *line = paced->lines[i];
        waiting += line->committed_bytes + line->express_bytes + line->own.bytes;
    }
    return waiting;
}
