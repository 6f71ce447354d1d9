#include "receiving/loss.h"

#include <math.h>

#include "generated.h"

static inline struct loss_bucket *loss_bucket_at(struct loss_meter *meter, uint32_t place) {
    return &meter->ring[(meter->first + place) % LOSS_BUCKETS];
}

static void begin(struct loss_meter *meter, uint64_t first, bool nowhere) {
    meter->newest = first;
    meter->nowhere = nowhere;
    meter->first = 0;
    meter->count = 1;
    meter->ring[0] = (struct loss_bucket){.begun_at = -INFINITY, .before = first};
}

void loss_begin(struct loss_meter *meter, uint64_t first) {
    meter->paused_until = -INFINITY;
    begin(meter, first, false);
}

void loss_pause(struct loss_meter *meter, double until) {
    meter->paused_until = until;
    begin(meter, 0, true);
}

static void loss_late(struct loss_meter *meter, uint64_t seq) {
    if (seq == meter->newest)
        return;
    for (uint32_t place = meter->count; place-- > 0;) {
        if (seq > loss_bucket_at(meter, place)->before) {
            loss_bucket_at(meter, place)->received++;
            return;
        }
    }
}

static void loss_forget_first(struct loss_meter *meter) {
    meter->first = (meter->first + 1) % LOSS_BUCKETS;
    meter->count--;
}

/* Begins a bucket. Forgets buckets from before LOSS_WINDOW that are not needed for the last LOSS_LEAST packets. */
static struct loss_bucket *loss_turn(struct loss_meter *meter, double now) {
    if (meter->count == LOSS_BUCKETS)
        loss_forget_first(meter);
    struct loss_bucket *current = loss_bucket_at(meter, meter->count++);
    *current = (struct loss_bucket){.begun_at = now, .before = meter->newest};
    while (loss_bucket_at(meter, 1)->begun_at <= now - LOSS_WINDOW &&
           meter->newest - loss_bucket_at(meter, 1)->before >= LOSS_LEAST)
        loss_forget_first(meter);
    return current;
}

void loss_received(struct loss_meter *meter, uint64_t seq, double now, int64_t others) {
    if (!meter->nowhere && seq <= meter->newest) {
        loss_late(meter, seq);
        return;
    }
    if (meter->nowhere || seq - meter->newest > LOSS_JUMP) {
        if (now >= meter->paused_until)
            begin(meter, seq, false);
        return;
    }
    struct loss_bucket *current = loss_bucket_at(meter, meter->count - 1);
    if (now - current->begun_at >= LOSS_BUCKET)
        current = loss_turn(meter, now);
    current->received += 1 + others;
    meter->newest = seq;
}

uint64_t loss_sent(const struct loss_meter *meter) {
    return meter->newest - meter->ring[meter->first].before;
}

int64_t loss_lost(const struct loss_meter *meter) {
    int64_t lost = (int64_t)loss_sent(meter);
    for (uint32_t place = 0; place < meter->count; place++)
        lost -= meter->ring[(meter->first + place) % LOSS_BUCKETS].received;
    return lost > 0 ? lost : 0;
}

int64_t loss_percent(const struct loss_meter *meter) {
    int64_t sent = (int64_t)loss_sent(meter);
    return loss_lost(meter) * 100 / (sent > LOSS_LEAST ? sent : LOSS_LEAST);
}
