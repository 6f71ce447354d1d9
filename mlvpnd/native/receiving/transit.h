/* Twin of mlvpnd/protocol/receiving/transit.py: how long a link's packets are under way, and how far they overtake each
   other. */
#ifndef MLVPND_TRANSIT_H
#define MLVPND_TRANSIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated.h"

/* The largest value of the last `span` to 2 `span` seconds. */
struct recent_max {
    double span;
    double floor;  /* the result while there is no value */
    double newest; /* the largest since the last turn */
    double before;
    double turn_at; /* before this time, only a value above `newest` changes anything */
};

/* In milliseconds, plus an unknown offset. */
struct transit {
    double last;           /* the newest that is believed, without the stamps' modulus */
    double jump;           /* how far the previous packet was from `last`, if too far to be believed alone */
    struct recent_max low; /* of the negated transit */
    struct recent_max high;
    double noted;
    bool has_sample;
};

void transit_begin(struct transit *transit);
/* Takes the stamp of a packet that came at `now` seconds. Whether it is TRANSIT_STEP above the highest noted. */
bool transit_received(struct transit *transit, uint16_t timestamp, double now);
void transit_note(struct transit *transit);
void transit_forget_high(struct transit *transit);
double transit_low_ms(const struct transit *transit);
double transit_rise_ms(const struct transit *transit);
/* How much later these links' slowest packet may come than their quickest; 0 without samples. */
double transit_spread_ms(const struct transit *const *transits, size_t count);

struct disorder {
    uint64_t newest;
    struct recent_max late;
    uint32_t first_gap; /* place of the oldest in the ring */
    uint32_t gaps;
    struct disorder_gap {
        uint64_t first; /* the first missing number */
        double since;   /* when a greater number came */
    } ring[TRANSIT_MAX_GAPS];
};

void disorder_begin(struct disorder *disorder, uint64_t newest);
/* Takes the link's own number of a packet; whether `disorder_seconds` has grown by it. */
bool disorder_received(struct disorder *disorder, uint64_t seq, double now);
double disorder_seconds(struct disorder *disorder, double now);

#endif
