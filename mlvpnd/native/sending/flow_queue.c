#include "sending/flow_queue.h"

#include <stdlib.h>
#include <string.h>

static void flow_queue_append(struct flow_queue *queue, enum flow_order order, struct flow *flow) {
    flow->place[order].before = queue->order[order].last;
    flow->place[order].behind = NULL;
    if (flow->place[order].before)
        flow->place[order].before->place[order].behind = flow;
    else
        queue->order[order].first = flow;
    queue->order[order].last = flow;
}

static void flow_queue_prepend(struct flow_queue *queue, enum flow_order order, struct flow *flow) {
    flow->place[order].before = NULL;
    flow->place[order].behind = queue->order[order].first;
    if (flow->place[order].behind)
        flow->place[order].behind->place[order].before = flow;
    else
        queue->order[order].last = flow;
    queue->order[order].first = flow;
}

static void flow_queue_take_out(struct flow_queue *queue, enum flow_order order, struct flow *flow) {
    struct flow *before = flow->place[order].before, *behind = flow->place[order].behind;
    if (before)
        before->place[order].behind = behind;
    else
        queue->order[order].first = behind;
    if (behind)
        behind->place[order].before = before;
    else
        queue->order[order].last = before;
}

static struct packet *flow_queue_take(struct flow_queue *queue, struct flow *flow) {
    struct packet *packet = packet_list_pop(&flow->packets);
    flow->bytes -= packet->line_size;
    queue->bytes -= packet->line_size;
    if (!flow->packets.first) {
        flow_queue_take_out(queue, FLOW_TURN, flow);
        flow_queue_take_out(queue, FLOW_AGE, flow);
        queue->flows--;
    }
    return packet;
}

static struct flow *flow_queue_fattest(const struct flow_queue *queue) {
    struct flow *best = queue->order[FLOW_AGE].first;
    for (struct flow *flow = best; flow; flow = flow->place[FLOW_AGE].behind) {
        if (flow->bytes > best->bytes)
            best = flow;
    }
    return best;
}

void flow_queue_begin(struct flow_queue *queue, int64_t limit) {
    memset(queue, 0, sizeof *queue);
    queue->limit = limit;
}

/* A flow without packets begins to wait. */
static void begin(struct flow_queue *queue, struct flow *flow,
                  void (*place)(struct flow_queue *, enum flow_order, struct flow *)) {
    flow->bytes = 0;
    flow->deficit = FLOW_QUEUE_QUANTUM;
    flow_queue_append(queue, FLOW_AGE, flow);
    place(queue, FLOW_TURN, flow);
    queue->flows++;
}

static size_t flow_queue_drop_from_fattest(struct flow_queue *queue) {
    size_t dropped = 0;
    while (queue->bytes > queue->limit && queue->flows) {
        packet_free(flow_queue_take(queue, flow_queue_fattest(queue)));
        dropped++;
    }
    return dropped;
}

size_t flow_queue_push(struct flow_queue *queue, uint32_t flow, struct packet *packet) {
    struct packet *kept = packet_keep(packet);
    if (!kept)
        return 1;
    kept->flow = flow % FLOW_QUEUE_BUCKETS;
    struct flow *waiting = &queue->all[kept->flow];
    if (!waiting->packets.first)
        begin(queue, waiting, flow_queue_append);
    packet_list_push(&waiting->packets, kept);
    waiting->bytes += kept->line_size;
    queue->bytes += kept->line_size;
    return queue->bytes > queue->limit ? flow_queue_drop_from_fattest(queue) : 0;
}

void flow_queue_put_back(struct flow_queue *queue, struct packet *packet) {
    struct flow *waiting = &queue->all[packet->flow % FLOW_QUEUE_BUCKETS];
    if (!waiting->packets.first)
        begin(queue, waiting, flow_queue_prepend);
    packet_list_push_front(&waiting->packets, packet);
    waiting->bytes += packet->line_size;
    queue->bytes += packet->line_size;
}

static int flow_queue_by_size(const void *one, const void *other) {
    int64_t first = *(const int64_t *)one, second = *(const int64_t *)other;
    return (first > second) - (first < second);
}

/* Bytes that each flow may have so that all together keep the limit; more than the limit are waiting. */
static int64_t flow_queue_level(const struct flow_queue *queue) {
    int64_t sizes[FLOW_QUEUE_BUCKETS], left = queue->limit;
    size_t count = 0;
    for (const struct flow *flow = queue->order[FLOW_AGE].first; flow; flow = flow->place[FLOW_AGE].behind)
        sizes[count++] = flow->bytes;
    qsort(sizes, count, sizeof *sizes, flow_queue_by_size);
    for (size_t i = 0; count > 1 && sizes[i] <= left / (int64_t)count; i++)
        left -= sizes[i], count--;
    return count ? left / (int64_t)count : 0;
}

size_t flow_queue_trim(struct flow_queue *queue) {
    if (queue->bytes <= queue->limit)
        return 0;
    size_t dropped = 0;
    int64_t most = flow_queue_level(queue);
    for (struct flow *flow = queue->order[FLOW_AGE].first; most > 0 && flow; flow = flow->place[FLOW_AGE].behind) {
        while (flow->bytes - flow->packets.first->line_size >= most) {
            packet_free(flow_queue_take(queue, flow));
            dropped++;
        }
    }
    return dropped + flow_queue_drop_from_fattest(queue);
}

uint32_t flow_queue_next_size(struct flow_queue *queue) {
    struct flow *flow = queue->order[FLOW_TURN].first;
    while (flow->deficit < flow->packets.first->line_size) {
        flow->deficit += FLOW_QUEUE_QUANTUM;
        flow_queue_take_out(queue, FLOW_TURN, flow);
        flow_queue_append(queue, FLOW_TURN, flow);
        flow = queue->order[FLOW_TURN].first;
    }
    return flow->packets.first->line_size;
}

struct packet *flow_queue_pop(struct flow_queue *queue) {
    uint32_t size = flow_queue_next_size(queue);
    struct flow *flow = queue->order[FLOW_TURN].first;
    flow->deficit -= size;
    return flow_queue_take(queue, flow);
}

size_t flow_queue_clear(struct flow_queue *queue) {
    size_t count = 0;
    while (queue->flows) {
        packet_free(flow_queue_take(queue, queue->order[FLOW_TURN].first));
        count++;
    }
    return count;
}
