#include "receiving/rtt.h"

#include <math.h>

#include "generated.h"

void rtt_begin(struct rtt_estimator *rtt) {
    *rtt = (struct rtt_estimator){
        .srtt_ms = RTT_INITIAL_SRTT_MS, .rttvar_ms = RTT_INITIAL_SRTT_MS / 2, .echoed_at = -INFINITY};
}

static inline double rtt_smaller(double one, double other) {
    return other < one ? other : one;
}

static inline double rtt_larger(double one, double other) {
    return other > one ? other : one;
}

void rtt_update(struct rtt_estimator *rtt, double sample_ms) {
    if (!rtt->has_sample) {
        rtt->has_sample = true;
        rtt->srtt_ms = rtt->min_rtt_ms = rtt->before_ms = sample_ms;
        rtt->rttvar_ms = sample_ms / 2;
        return;
    }
    double before = rtt->before_ms;
    rtt->before_ms = sample_ms;
    rtt->min_rtt_ms = rtt_smaller(rtt->min_rtt_ms, rtt_larger(before, sample_ms));
    if (fabs(rtt->srtt_ms - sample_ms) > 4 * rtt->rttvar_ms + RTT_JUMP_MS) { /* count the median of three */
        double lower = rtt_smaller(before, rtt->srtt_ms), upper = rtt_larger(before, rtt->srtt_ms);
        sample_ms = rtt_larger(lower, rtt_smaller(upper, sample_ms));
    }
    rtt->rttvar_ms += RTT_BETA * (fabs(rtt->srtt_ms - sample_ms) - rtt->rttvar_ms);
    rtt->srtt_ms += RTT_ALPHA * (sample_ms - rtt->srtt_ms);
}

/* Whole milliseconds in these seconds. */
static inline int64_t rtt_whole_ms(double seconds) {
    return (int64_t)(seconds * 1000);
}

uint16_t rtt_stamp(double now) {
    uint16_t value = (uint16_t)rtt_whole_ms(now);
    return value == WIRE_NO_TIMESTAMP ? 0 : value;
}

int32_t rtt_sample_ms(uint16_t timestamp_reply, double now) {
    if (timestamp_reply == WIRE_NO_TIMESTAMP)
        return -1;
    uint16_t elapsed = (uint16_t)(rtt_stamp(now) - timestamp_reply);
    return elapsed < PROTOCOL_RTT_LIMIT_MS ? elapsed : -1;
}

void rtt_received(struct rtt_estimator *rtt, uint16_t timestamp_reply, double now) {
    if (timestamp_reply == WIRE_NO_TIMESTAMP) {
        rtt->unechoed++;
        return;
    }
    rtt->echoed_at = now;
    rtt->unechoed = 0;
    int32_t sample = rtt_sample_ms(timestamp_reply, now);
    if (sample >= 0)
        rtt_update(rtt, sample);
}

void echo_begin(struct stamp_echo *echo) {
    *echo = (struct stamp_echo){.stamp = WIRE_NO_TIMESTAMP};
}

void echo_received(struct stamp_echo *echo, uint16_t timestamp, double now) {
    echo->stamp = timestamp;
    echo->at = now;
}

uint16_t echo_take(struct stamp_echo *echo, double now) {
    if (echo->stamp == WIRE_NO_TIMESTAMP)
        return WIRE_NO_TIMESTAMP;
    int64_t held_ms = rtt_whole_ms(now - echo->at);
    uint16_t reply = (uint16_t)(echo->stamp + held_ms);
    echo->stamp = WIRE_NO_TIMESTAMP;
    if (held_ms >= PROTOCOL_ECHO_LIMIT_MS)
        return WIRE_NO_TIMESTAMP;
    return reply != WIRE_NO_TIMESTAMP ? reply : 0;
}
