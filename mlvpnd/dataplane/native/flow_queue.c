#include "flow_queue.h"

#include <string.h>

static void append(struct flow_queue *queue, enum flow_order order, struct flow *flow) {
    flow->place[order].before = queue->order[order].last;
    flow->place[order].behind = NULL;
    if (flow->place[order].before)
        flow->place[order].before->place[order].behind = flow;
    else
        queue->order[order].first = flow;
    queue->order[order].last = flow;
}

static void take_out(struct flow_queue *queue, enum flow_order order, struct flow *flow) {
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

static struct packet *take(struct flow_queue *queue, struct flow *flow) {
    struct packet *packet = packet_list_pop(&flow->packets);
    flow->bytes -= packet->line_size;
    queue->bytes -= packet->line_size;
    if (!flow->packets.first) {
        take_out(queue, FLOW_TURN, flow);
        take_out(queue, FLOW_AGE, flow);
        queue->flows--;
    }
    return packet;
}

static struct flow *fattest(const struct flow_queue *queue) {
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

size_t flow_queue_push(struct flow_queue *queue, uint32_t flow, struct packet *packet) {
    struct packet *kept = packet_keep(packet);
    if (!kept)
        return 1;
    struct flow *waiting = &queue->all[flow % FLOW_QUEUE_BUCKETS];
    if (!waiting->packets.first) {
        waiting->bytes = 0;
        waiting->deficit = FLOW_QUEUE_QUANTUM;
        append(queue, FLOW_AGE, waiting);
        append(queue, FLOW_TURN, waiting);
        queue->flows++;
    }
    packet_list_push(&waiting->packets, kept);
    waiting->bytes += kept->line_size;
    queue->bytes += kept->line_size;
    size_t dropped = 0;
    while (queue->bytes > queue->limit && queue->flows) {
        packet_free(take(queue, fattest(queue)));
        dropped++;
    }
    return dropped;
}

uint32_t flow_queue_next_size(struct flow_queue *queue) {
    struct flow *flow = queue->order[FLOW_TURN].first;
    while (flow->deficit < flow->packets.first->line_size) {
        flow->deficit += FLOW_QUEUE_QUANTUM;
        take_out(queue, FLOW_TURN, flow);
        append(queue, FLOW_TURN, flow);
        flow = queue->order[FLOW_TURN].first;
    }
    return flow->packets.first->line_size;
}

struct packet *flow_queue_pop(struct flow_queue *queue) {
    uint32_t size = flow_queue_next_size(queue);
    struct flow *flow = queue->order[FLOW_TURN].first;
    flow->deficit -= size;
    return take(queue, flow);
}

size_t flow_queue_clear(struct flow_queue *queue) {
    size_t count = 0;
    while (queue->flows) {
        packet_free(take(queue, queue->order[FLOW_TURN].first));
        count++;
    }
    return count;
}
