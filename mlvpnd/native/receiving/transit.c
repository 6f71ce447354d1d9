#include "receiving/transit.h"

#include <math.h>

static void transit_recent_begin(struct recent_max *most, double span, double floor) {
    *most = (struct recent_max){.span = span, .floor = floor, .newest = floor, .before = floor, .turn_at = -INFINITY};
}

static void transit_recent_turn(struct recent_max *most, double now) {
    most->before = now < most->turn_at + most->span ? most->newest : most->floor;
    most->newest = most->floor;
    most->turn_at = now + most->span;
}

static void transit_recent_add(struct recent_max *most, double value, double now) {
    if (now >= most->turn_at)
        transit_recent_turn(most, now);
    if (value > most->newest)
        most->newest = value;
}

static inline double transit_recent_last(const struct recent_max *most) {
    return most->before > most->newest ? most->before : most->newest;
}

static double transit_recent_at(struct recent_max *most, double now) {
    if (now >= most->turn_at)
        transit_recent_turn(most, now);
    return transit_recent_last(most);
}

/* Python's modulo. As there, it is exact except for one rounding: the period is a power of two. */
static inline double transit_modulo_period(double value) {
    return value - floor(value / TRANSIT_PERIOD) * TRANSIT_PERIOD;
}

static void begin(struct transit *transit) {
    transit_recent_begin(&transit->low, TRANSIT_LOW_SPAN, -INFINITY);
    transit_recent_begin(&transit->high, TRANSIT_HIGH_SPAN, -INFINITY);
    transit->noted = -INFINITY;
}

void transit_begin(struct transit *transit) {
    transit->has_sample = false;
    transit->last = transit->jump = 0.0;
    begin(transit);
}

bool transit_received(struct transit *transit, uint16_t timestamp, double now) {
    if (timestamp == WIRE_NO_TIMESTAMP)
        return false;
    double step = transit_modulo_period(now * 1000 - timestamp - transit->last + TRANSIT_HALF) - TRANSIT_HALF;
    double jump = transit->jump;
    transit->jump = 0.0;
    if (!(-TRANSIT_JUMP <= step && step <= TRANSIT_JUMP) && transit->has_sample) {
        if (jump * step <= 0.0) {
            transit->jump = step;
            return false;
        }
        if (fabs(jump) <= fabs(step))
            step = jump;
    }
    if (!(-TRANSIT_NEW_CLOCK < step && step < TRANSIT_NEW_CLOCK))
        begin(transit);
    double last = transit->last = transit->last + step;
    struct recent_max *low = &transit->low, *high = &transit->high;
    if (-low->newest <= last && last <= high->newest && now < low->turn_at && now < high->turn_at)
        return false;
    transit->has_sample = true;
    transit_recent_add(low, -last, now);
    transit_recent_add(high, last, now);
    return last > transit->noted + TRANSIT_STEP;
}

void transit_note(struct transit *transit) {
    transit->noted = transit_recent_last(&transit->high);
}

void transit_forget_high(struct transit *transit) {
    transit_recent_begin(&transit->high, TRANSIT_HIGH_SPAN, -INFINITY);
}

double transit_low_ms(const struct transit *transit) {
    return -transit_recent_last(&transit->low);
}

double transit_rise_ms(const struct transit *transit) {
    double rise = transit_recent_last(&transit->high) - transit_low_ms(transit);
    return 0.0 > rise ? 0.0 : rise;
}

double transit_spread_ms(const struct transit *const *transits, size_t count) {
    double origin = 0.0, lowest = 0.0, highest = 0.0;
    bool sampled = false;
    for (size_t at = 0; at < count; at++) {
        if (!transits[at]->has_sample)
            continue;
        if (!sampled)
            origin = transit_low_ms(transits[at]);
        double low = transit_modulo_period(transit_low_ms(transits[at]) - origin + TRANSIT_HALF) - TRANSIT_HALF;
        double high = low + transit_rise_ms(transits[at]);
        if (!sampled || low < lowest)
            lowest = low;
        if (!sampled || high > highest)
            highest = high;
        sampled = true;
    }
    return highest - lowest;
}

void disorder_begin(struct disorder *disorder, uint64_t newest) {
    disorder->newest = newest;
    disorder->first_gap = disorder->gaps = 0;
    transit_recent_begin(&disorder->late, TRANSIT_DISORDER_SPAN, 0.0);
}

static inline struct disorder_gap *transit_gap_at(struct disorder *disorder, uint32_t place) {
    return &disorder->ring[(disorder->first_gap + place) % TRANSIT_MAX_GAPS];
}

bool disorder_received(struct disorder *disorder, uint64_t seq, double now) {
    if (seq > disorder->newest) {
        if (seq - disorder->newest > 1) {
            if (disorder->gaps == TRANSIT_MAX_GAPS)
                disorder->first_gap = (disorder->first_gap + 1) % TRANSIT_MAX_GAPS;
            else
                disorder->gaps++;
            *transit_gap_at(disorder, disorder->gaps - 1) = (struct disorder_gap){disorder->newest + 1, now};
        }
        disorder->newest = seq;
        return false;
    }
    if (!disorder->gaps) /* it was under way before the first packet that counts */
        return false;
    double since = transit_gap_at(disorder, 0)->since;
    for (uint32_t place = disorder->gaps; place-- > 0;) {
        if (transit_gap_at(disorder, place)->first <= seq) {
            since = transit_gap_at(disorder, place)->since;
            break;
        }
    }
    double lateness = now - since, before = transit_recent_at(&disorder->late, now);
    transit_recent_add(&disorder->late, lateness, now);
    return lateness > before;
}

double disorder_seconds(struct disorder *disorder, double now) {
    return transit_recent_at(&disorder->late, now);
}
