#include "sending/paced_parts.h"

#include <stdlib.h>

static bool paced_ranks_before(const struct line *one, const struct line *other) {
    return one->priority != other->priority ? one->priority < other->priority : one->spare < other->spare;
}

/* Groups the lines in the order in which they open. */
static void group(struct paced *paced) {
    for (size_t i = 0; i < paced->line_count; i++) {
        size_t place = i;
        for (; place && paced_ranks_before(paced->lines[i], paced->ranked[place - 1]); place--)
            paced->ranked[place] = paced->ranked[place - 1];
        paced->ranked[place] = paced->lines[i];
    }
    struct paced_group *last = NULL, together = {0};
    paced->group_count = 0;
    for (size_t i = 0; i < paced->line_count; i++) {
        struct line *line = paced->ranked[i];
        if (!last || paced_ranks_before(paced->ranked[i - 1], line)) {
            if (last)
                last->before_spare = line->spare;
            last = &paced->groups[paced->group_count++];
        }
        line->higher = paced->group_count > 1;
        if (paced->group_count > 1)
            paced->groups[paced->group_count - 2].higher++;
        together.count++;
        together.rate += line->rate;
        together.nearest = i ? min(together.nearest, line->delay) : line->delay;
        together.horizon = i ? max(together.horizon, line->delay + PACED_SLACK) : line->delay + PACED_SLACK;
        *last = together;
    }
}

static int64_t paced_hold_of(int64_t delay, int64_t nearest, int64_t farthest) {
    return (farthest + nearest) * PACED_HOLD_SHARE / 100 - nearest - delay;
}

/* Sets how long near lines hold packets, so that a flow that keeps queues short fills the far lines too. Returns the
   delay of the farthest line that is not too far. */
static int64_t paced_set_holds(struct paced *paced) {
    size_t count = paced->groups[0].count;
    int64_t nearest = INT64_MAX, farthest = 0;
    for (size_t i = 0; i < count; i++)
        nearest = min(nearest, paced->ranked[i]->least_delay);
    for (size_t i = 0; i < count; i++) {
        int64_t delay = paced->ranked[i]->delay;
        if (paced_hold_of(nearest, nearest, delay) <= PACED_LONGEST_HOLD)
            farthest = max(farthest, delay);
    }
    for (size_t i = 0; i < count; i++) {
        struct line *line = paced->ranked[i];
        line->hold = max(min(paced_hold_of(line->least_delay, nearest, farthest), farthest - line->delay), 0);
    }
    return farthest;
}

void paced_hold_back(struct paced *paced, int64_t now) {
    const struct paced_group *lowest = &paced->groups[0];
    int64_t farthest = 0;
    paced->reachable = paced_set_holds(paced);
    paced->near_rate = 0;
    for (size_t i = 0; i < lowest->count; i++) {
        const struct line *line = paced->ranked[i];
        farthest = max(farthest, line->delay);
        if (line->delay <= paced->reachable)
            paced->near_rate += line->rate;
    }
    int64_t far_rate = lowest->rate - paced->near_rate;
    paced->has_near = paced->near_rate && far_rate && far_rate * PACED_WORTH >= paced->near_rate;
    if (!paced->has_near || !paced->stretch.count)
        return;
    paced->queue.limit = max(paced->queue.limit, min(line_bytes(farthest, paced->rate), PACED_MOST_AHEAD));
    for (size_t i = 0; i < lowest->count; i++) {
        struct line *line = paced->ranked[i];
        line->hold = max(line->hold, min(farthest - line->delay, stretch_delay(&paced->stretch, now)));
    }
}

/* No line is left: drops all that waits. */
static void paced_drop_all(struct paced *paced, struct line **gone, size_t count) {
    for (size_t i = 0; i < count; i++) {
        paced->dropped += gone[i]->express.count + gone[i]->committed.count; /* line_free frees them */
        paced->dropped += flow_queue_clear(&gone[i]->own);
    }
    paced->dropped += flow_queue_clear(&paced->queue);
}

/* Express packets of lines that are gone go first on others, while there is room; the rest is put into `small`. */
static void paced_rescue_express(struct paced *paced, struct packet_list *express, struct packet_list *small,
                                 int64_t now) {
    struct packet *packet;
    while ((packet = packet_list_pop(express))) {
        struct line *first = paced_first_line(paced, now);
        if (line_time(first->express_bytes + packet->line_size, first->rate) <= PACED_RESCUED_TIME) {
            line_push_first(first, packet);
        } else if (packet->data_seq) { /* a copy goes first or not at all, because there is another */
            packet_free(packet);
            paced->dropped++;
        } else {
            packet_list_push(small, packet);
        }
    }
}

/* Puts a list's packets back, from the last to the first: each goes to the front. */
static void paced_put_back(struct flow_queue *queue, struct packet_list *list) {
    struct packet *packet;
    struct packet_list backwards = {0};
    while ((packet = packet_list_pop(list)))
        packet_list_push_front(&backwards, packet);
    while ((packet = packet_list_pop(&backwards)))
        flow_queue_put_back(queue, packet);
}

/* Packets that waited for lines that are gone go by the others. */
static void paced_rescue(struct paced *paced, struct line **gone, size_t count, int64_t now) {
    struct packet_list committed = {0}, own = {0}, small = {0};
    for (size_t i = 0; i < count; i++) {
        packet_list_join(&committed, &gone[i]->committed);
        while (gone[i]->own.bytes) { /* meant for that line only, but late is better than lost */
            struct packet *packet = flow_queue_pop(&gone[i]->own);
            packet->data_seq = 0;
            packet->reorder = false;
            packet_list_push(&own, packet);
        }
        paced_rescue_express(paced, &gone[i]->express, &small, now);
    }
    packet_list_sort(&committed);
    packet_list_join(&committed, &own);
    packet_list_join(&committed, &small);
    paced_put_back(&paced->queue, &committed);
    paced->dropped += flow_queue_trim(&paced->queue);
}

bool paced_set_lines(struct paced *paced, const struct paced_line *given, size_t count, int64_t now) {
    size_t before = paced->line_count, gone_count = 0;
    struct line **lines = calloc(count + 1, sizeof *lines), **ranked = calloc(count + 1, sizeof *ranked);
    struct line **gone = calloc(before + 1, sizeof *gone);
    struct paced_group *groups = calloc(count + 1, sizeof *groups);
    bool whole = lines && ranked && gone && groups;
    for (size_t i = 0; whole && i < count; i++) {
        lines[i] = paced_line_of(paced, given[i].number);
        if (!lines[i] || lines[i]->rate != given[i].rate)
            lines[i] = line_new(given[i].number, given[i].rate, given[i].delay, now);
        whole = lines[i];
    }
    if (!whole) {
        for (size_t i = 0; lines && i < count && lines[i]; i++) {
            if (lines[i] != paced_line_of(paced, given[i].number))
                line_free(lines[i]);
        }
        free(lines);
        free(ranked);
        free(gone);
        free(groups);
        return false;
    }
    for (size_t i = 0; i < before; i++) {
        size_t place = 0;
        while (place < count && given[place].number != paced->lines[i]->number)
            place++;
        if (place == count)
            gone[gone_count++] = paced->lines[i];
    }
    paced->rate = 0;
    for (size_t i = 0; i < count; i++) {
        struct line *line = paced_line_of(paced, given[i].number);
        if (line && line != lines[i])
            gone[gone_count++] = line;
        lines[i]->delay = min(given[i].delay, PACED_LONGEST_DELAY);
        lines[i]->least_delay = min(given[i].least_delay ? given[i].least_delay : given[i].delay, PACED_LONGEST_DELAY);
        lines[i]->hold = 0;
        lines[i]->priority = given[i].priority;
        lines[i]->spare = given[i].spare;
        paced->rate += lines[i]->rate;
    }
    free(paced->lines);
    free(paced->ranked);
    free(paced->groups);
    paced->lines = lines;
    paced->ranked = ranked;
    paced->groups = groups;
    paced->line_count = count;
    paced->commits_later = false;
    paced->queue.limit = max(LINE_LEAST_LIMIT, paced->rate / (LINE_SECOND / PACED_QUEUE_TIME));
    group(paced);
    stretch_forget(&paced->stretch, now);
    if (count) {
        paced_hold_back(paced, now);
        paced_rescue(paced, gone, gone_count, now);
    } else {
        paced_drop_all(paced, gone, gone_count);
    }
    for (size_t i = 0; i < gone_count; i++)
        line_free(gone[i]);
    free(gone);
    return true;
}
