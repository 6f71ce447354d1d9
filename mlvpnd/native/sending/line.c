#include "sending/line.h"

#include <stdlib.h>

static inline int64_t line_max(int64_t one, int64_t other) {
    return one > other ? one : other;
}

struct line *line_new(int32_t number, int64_t rate, int64_t delay, int64_t now) {
    struct line *line = calloc(1, sizeof *line);
    if (!line)
        return NULL;
    line->number = number;
    line->rate = rate;
    line->delay = line->least_delay = delay;
    line->ready_at = now;
    line->own.limit = line_max(LINE_LEAST_LIMIT, rate / (LINE_SECOND / LINE_OWN_TIME));
    return line;
}

void line_free(struct line *line) {
    packet_list_free(&line->express);
    packet_list_free(&line->committed);
    flow_queue_clear(&line->own);
    free(line);
}

int64_t line_free_at(const struct line *line) {
    int64_t waiting = line->express_bytes + line->committed_bytes + line->own.bytes;
    return line_max(line->ready_at + line_time(waiting, line->rate), line->kept_until);
}

int64_t line_due(const struct line *line) {
    if (line->express.first || line->own.bytes)
        return line->ready_at;
    return line_max(line->ready_at, line->committed.first->after);
}

void line_push_first(struct line *line, struct packet *packet) {
    packet_list_push(&line->express, packet);
    line->express_bytes += packet->line_size;
}

void line_commit(struct line *line, struct packet *packet) {
    if (line->higher || line->hold)
        line->kept_until = line_max(line_free_at(line), packet->after) + line_time(packet->line_size, line->rate);
    packet_list_push(&line->committed, packet);
    line->committed_bytes += packet->line_size;
}

struct packet *line_take(struct line *line, int64_t now) {
    struct packet *packet;
    const struct packet *committed = line->committed.first;
    if (line->ready_at > now)
        return NULL;
    if (line->express.first) {
        packet = packet_list_pop(&line->express);
        line->express_bytes -= packet->line_size;
    } else if (line->own.bytes && (!committed || line->turn > 0 || committed->after > now)) {
        packet = flow_queue_pop(&line->own);
        packet->data_seq = 0;
        packet->reorder = false;
        packet->after = 0;
        line->turn = committed ? line->turn - packet->line_size : 0;
    } else if (committed && committed->after <= now) {
        packet = packet_list_pop(&line->committed);
        line->committed_bytes -= packet->line_size;
        line->turn = line->own.bytes ? line->turn + packet->line_size : 1;
        if (line->ready_at < packet->after) /* the line was idle, and must not catch up */
            line->ready_at = packet->after;
    } else {
        return NULL;
    }
    line->sent += packet->line_size;
    line->ready_at += line_time(packet->line_size, line->rate);
    return packet;
}
