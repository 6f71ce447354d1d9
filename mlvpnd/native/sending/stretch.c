#include "sending/stretch.h"

#include <string.h>

#include "sending/line.h"

void stretch_begin(struct stretch *stretch) {
    memset(stretch, 0, sizeof *stretch);
    stretch->newest = -STRETCH_SETTLE;
    for (size_t i = 0; i < FLOW_QUEUE_BUCKETS; i++)
        stretch->flows[i].seen = -STRETCH_PAUSE;
}

int64_t stretch_delay(const struct stretch *stretch, int64_t now) {
    return (now - stretch->since) * STRETCH_GROWTH / 100;
}

bool stretch_is_settling(const struct stretch *stretch, int64_t now) {
    return now - stretch->newest < STRETCH_SETTLE;
}

static void stretch_end(struct stretch *stretch, struct stretch_flow *flow) {
    stretch->count -= flow->stretched;
    flow->stretched = false;
}

void stretch_forget(struct stretch *stretch, int64_t now) {
    for (size_t i = 0; stretch->count && i < FLOW_QUEUE_BUCKETS; i++) {
        if (now - stretch->flows[i].seen >= STRETCH_PAUSE)
            stretch_end(stretch, &stretch->flows[i]);
    }
}

static void begin(struct stretch_flow *flow, int64_t begun, int64_t carried) {
    flow->begun = begun;
    flow->bytes = 0;
    flow->carried = carried;
}

static bool stretch_goes_on(struct stretch *stretch, struct stretch_flow *flow, int64_t now, int64_t carried) {
    if (now < flow->check_at)
        return true;
    if (flow->bytes - flow->before < flow->least) {
        stretch_end(stretch, flow);
        begin(flow, now + STRETCH_REFRAIN, carried);
        return false;
    }
    flow->check_at = now + STRETCH_CHECK;
    flow->before = flow->bytes;
    return true;
}

/* The bytes of the flow that has sent most. */
static int64_t stretch_most(const struct stretch *stretch, int64_t now) {
    int64_t most = 0;
    for (size_t i = 0; i < FLOW_QUEUE_BUCKETS; i++) {
        const struct stretch_flow *flow = &stretch->flows[i];
        if (now - flow->seen < STRETCH_PAUSE && flow->bytes > most)
            most = flow->bytes;
    }
    return most;
}

bool stretch_admit(struct stretch *stretch, uint32_t number, uint32_t size, int64_t now, int64_t carried,
                   int64_t rate) {
    struct stretch_flow *flow = &stretch->flows[number % FLOW_QUEUE_BUCKETS];
    if (now - flow->seen >= STRETCH_PAUSE) {
        stretch_end(stretch, flow);
        begin(flow, now, carried);
    }
    flow->seen = now;
    flow->bytes += size;
    int64_t age = now - flow->begun;
    if (flow->stretched)
        return stretch_goes_on(stretch, flow, now, carried);
    if (age <= 0) {
        begin(flow, flow->begun, carried);
    } else if (age >= STRETCH_AFTER) {
        int64_t done = carried - flow->carried;
        if (done >= line_bytes(age, rate * STRETCH_FULL / 100) &&
            flow->bytes * STRETCH_GREEDY >= stretch_most(stretch, now)) {
            if (!stretch->count++)
                stretch->since = now;
            stretch->newest = now;
            flow->stretched = true;
            flow->check_at = now + STRETCH_CHECK;
            flow->before = flow->bytes;
            int64_t least_time = STRETCH_CHECK / STRETCH_CONTENT / STRETCH_MILLISECOND;
            flow->least = flow->bytes * least_time / (age / STRETCH_MILLISECOND);
            return true;
        }
        begin(flow, flow->begun + STRETCH_AGAIN, carried);
    }
    return false;
}
