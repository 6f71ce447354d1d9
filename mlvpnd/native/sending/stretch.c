#include "sending/stretch.h"

#include <string.h>

#include "sending/line.h"

/* Nanoseconds, but for percents and parts; see stretch.py. */
static const int64_t AFTER = 8600000000;
static const int64_t AGAIN = 10200000000;
static const int64_t SETTLE = 3000000000;
static const int64_t CHECK = 4000000000;
static const int64_t REFRAIN = 60000000000;
enum {
    PAUSE = 1000000000,
    MILLISECOND = 1000000,
    FULL = 75,
    GREEDY = 4,
    GROWTH = 30,
    CONTENT = 3,
};

void stretch_begin(struct stretch *stretch) {
    memset(stretch, 0, sizeof *stretch);
    stretch->newest = -SETTLE;
    for (size_t i = 0; i < FLOW_QUEUE_BUCKETS; i++)
        stretch->flows[i].seen = -PAUSE;
}

int64_t stretch_delay(const struct stretch *stretch, int64_t now) {
    return (now - stretch->since) * GROWTH / 100;
}

bool stretch_settles(const struct stretch *stretch, int64_t now) {
    return now - stretch->newest < SETTLE;
}

static void end(struct stretch *stretch, struct stretch_flow *flow) {
    stretch->count -= flow->stretched;
    flow->stretched = false;
}

void stretch_forget(struct stretch *stretch, int64_t now) {
    for (size_t i = 0; stretch->count && i < FLOW_QUEUE_BUCKETS; i++) {
        if (now - stretch->flows[i].seen >= PAUSE)
            end(stretch, &stretch->flows[i]);
    }
}

static void begin(struct stretch_flow *flow, int64_t begun, int64_t carried) {
    flow->begun = begun;
    flow->bytes = 0;
    flow->carried = carried;
}

static bool goes_on(struct stretch *stretch, struct stretch_flow *flow, int64_t now, int64_t carried) {
    if (now < flow->check_at)
        return true;
    if (flow->bytes - flow->before < flow->least) {
        end(stretch, flow);
        begin(flow, now + REFRAIN, carried);
        return false;
    }
    flow->check_at = now + CHECK;
    flow->before = flow->bytes;
    return true;
}

/* The bytes of the flow that has most. */
static int64_t most(const struct stretch *stretch, int64_t now) {
    int64_t most = 0;
    for (size_t i = 0; i < FLOW_QUEUE_BUCKETS; i++) {
        const struct stretch_flow *flow = &stretch->flows[i];
        if (now - flow->seen < PAUSE && flow->bytes > most)
            most = flow->bytes;
    }
    return most;
}

bool stretch_takes(struct stretch *stretch, uint32_t number, uint32_t size, int64_t now, int64_t carried,
                   int64_t rate) {
    struct stretch_flow *flow = &stretch->flows[number % FLOW_QUEUE_BUCKETS];
    if (now - flow->seen >= PAUSE) {
        end(stretch, flow);
        begin(flow, now, carried);
    }
    flow->seen = now;
    flow->bytes += size;
    int64_t age = now - flow->begun;
    if (flow->stretched)
        return goes_on(stretch, flow, now, carried);
    if (age <= 0) {
        begin(flow, flow->begun, carried);
    } else if (age >= AFTER) {
        int64_t done = carried - flow->carried;
        if (done >= line_bytes(age, rate * FULL / 100) && flow->bytes * GREEDY >= most(stretch, now)) {
            if (!stretch->count++)
                stretch->since = now;
            stretch->newest = now;
            flow->stretched = true;
            flow->check_at = now + CHECK;
            flow->before = flow->bytes;
            flow->least = flow->bytes * (CHECK / CONTENT / MILLISECOND) / (age / MILLISECOND);
            return true;
        }
        begin(flow, flow->begun + AGAIN, carried);
    }
    return false;
}
