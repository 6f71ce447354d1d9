/* Twin of mlvpnd/protocol/receiving/rtt.py: round-trip times by the 16-bit stamps of the header. */
#ifndef MLVPND_RTT_H
#define MLVPND_RTT_H

#include <stdbool.h>
#include <stdint.h>

struct rtt_estimator {
    double srtt_ms;
    double rttvar_ms;
    double min_rtt_ms;
    double before_ms; /* the previous sample */
    bool has_sample;
    double echoed_at;  /* when the newest echo came; -INFINITY: none has */
    uint64_t unechoed; /* packets without an echo since */
};

struct stamp_echo {
    double at;
    uint16_t stamp;
};

void rtt_begin(struct rtt_estimator *rtt);
void rtt_update(struct rtt_estimator *rtt, double sample_ms);
/* Takes the echo of an authentic packet. */
void rtt_received(struct rtt_estimator *rtt, uint16_t timestamp_reply, double now);

/* Our clock in milliseconds modulo 65536; never WIRE_NO_TIMESTAMP. */
uint16_t rtt_stamp(double now);
/* The round trip in milliseconds that an echo proves, or -1 if it proves none. */
int32_t rtt_sample_ms(uint16_t timestamp_reply, double now);

void echo_begin(struct stamp_echo *echo);
void echo_received(struct stamp_echo *echo, uint16_t timestamp, double now);
/* What to put into `timestamp_reply`. */
uint16_t echo_take(struct stamp_echo *echo, double now);

#endif
