#include "wire/replay.h"

#include <stdlib.h>
#include <string.h>

enum { MASK = PROTOCOL_REPLAY_WINDOW_SIZE - 1 };

static inline bool replay_is_set(const struct replay_window *window, uint64_t seq) {
    return window->bits[(seq & MASK) / 64] >> (seq % 64) & 1;
}

static inline void replay_set(struct replay_window *window, uint64_t seq) {
    window->bits[(seq & MASK) / 64] |= UINT64_C(1) << (seq % 64);
}

void replay_begin(struct replay_window *window, uint64_t first) {
    window->newest = first;
    memset(window->bits, 0xff, sizeof window->bits);
}

void replay_begin_unseen(struct replay_window *window, uint64_t newest) {
    window->newest = newest;
    memset(window->bits, 0, sizeof window->bits);
    replay_set(window, newest);
}

void replay_restore(struct replay_window *window, uint64_t newest, const uint64_t seen[REPLAY_WORDS]) {
    replay_begin_unseen(window, newest);
    for (uint64_t age = 1; age < PROTOCOL_REPLAY_WINDOW_SIZE; age++)
        if (seen[age / 64] >> (age % 64) & 1)
            replay_set(window, newest - age);
}

void replay_seen(const struct replay_window *window, uint64_t seen[REPLAY_WORDS]) {
    memset(seen, 0, REPLAY_WORDS * sizeof *seen);
    for (uint64_t age = 0; age < PROTOCOL_REPLAY_WINDOW_SIZE; age++)
        if (replay_is_set(window, window->newest - age))
            seen[age / 64] |= UINT64_C(1) << (age % 64);
}

bool replay_may_accept(const struct replay_window *window, uint64_t seq) {
    if (seq > window->newest)
        return true;
    return window->newest - seq < PROTOCOL_REPLAY_WINDOW_SIZE && !replay_is_set(window, seq);
}

bool replay_accept(struct replay_window *window, uint64_t seq) {
    if (seq <= window->newest) {
        if (!replay_may_accept(window, seq))
            return false;
        replay_set(window, seq);
        return true;
    }
    if (seq - window->newest >= PROTOCOL_REPLAY_WINDOW_SIZE) {
        memset(window->bits, 0, sizeof window->bits);
    } else {
        for (uint64_t skipped = window->newest + 1; skipped < seq; skipped++)
            window->bits[(skipped & MASK) / 64] &= ~(UINT64_C(1) << (skipped % 64));
    }
    replay_set(window, seq);
    window->newest = seq;
    return true;
}

/* The octet of the ring that has the bit of a number. */
static inline uint64_t replay_octet_of(const struct clear_window *window, uint64_t seq) {
    return (seq & (window->size - 1)) / 8;
}

static uint64_t replay_clear_start(uint64_t newest_authentic) {
    if (newest_authentic < PROTOCOL_REPLAY_WINDOW_SIZE)
        return 0;
    return (newest_authentic - PROTOCOL_REPLAY_WINDOW_SIZE + 1) & ~UINT64_C(7);
}

bool clear_begin(struct clear_window *window, uint64_t newest_authentic, uint64_t size) {
    window->base = replay_clear_start(newest_authentic);
    window->size = size;
    window->seen = calloc(size / 8, 1);
    return window->seen != NULL;
}

bool clear_restore(struct clear_window *window, uint64_t base, const uint8_t *octets, size_t count) {
    if (!clear_begin(window, 0, PROTOCOL_CLEAR_WINDOW_SIZE))
        return false;
    window->base = base;
    for (size_t place = 0; place < count; place++)
        window->seen[replay_octet_of(window, base + 8 * place)] = octets[place];
    return true;
}

void clear_seen(const struct clear_window *window, uint8_t *octets) {
    for (uint64_t place = 0; place < window->size / 8; place++)
        octets[place] = window->seen[replay_octet_of(window, window->base + 8 * place)];
}

void clear_end(struct clear_window *window) {
    free(window->seen);
    window->seen = NULL;
}

void clear_anchor(struct clear_window *window, uint64_t newest_authentic) {
    uint64_t base = replay_clear_start(newest_authentic);
    if (base <= window->base)
        return;
    if (base - window->base >= window->size) {
        memset(window->seen, 0, window->size / 8);
    } else {
        for (uint64_t seq = window->base; seq < base; seq += 8)
            window->seen[replay_octet_of(window, seq)] = 0;
    }
    window->base = base;
}

bool clear_accept(struct clear_window *window, uint64_t seq) {
    if (seq < window->base || seq - window->base >= window->size)
        return false;
    uint8_t *octet = &window->seen[replay_octet_of(window, seq)], bit = (uint8_t)(1 << seq % 8);
    if (*octet & bit)
        return false;
    *octet |= bit;
    return true;
}

uint64_t clear_count(const struct clear_window *window, uint64_t first, uint64_t end) {
    if (first < window->base)
        first = window->base;
    if (end < window->base)
        return 0;
    if (end - window->base > window->size)
        end = window->base + window->size;
    uint64_t count = 0;
    while (first < end) {
        unsigned bits = window->seen[replay_octet_of(window, first)] >> first % 8;
        uint64_t left = end - first, width = 8 - first % 8;
        if (left < width) {
            bits &= (1u << left) - 1;
            width = left;
        }
        count += (uint64_t)__builtin_popcount(bits);
        first += width;
    }
    return count;
}

void peer_flow_begin(struct peer_flow *flow, uint32_t flow_id, int32_t link, uint64_t seq) {
    *flow = (struct peer_flow){.flow_id = flow_id, .link = link};
    replay_begin(&flow->window, seq);
}

void peer_flow_end(struct peer_flow *flow) {
    clear_end(&flow->clear);
    flow->has_clear = false;
}

bool peer_flow_restore_clear(struct peer_flow *flow, uint64_t base, const uint8_t *octets, size_t count) {
    peer_flow_end(flow);
    flow->has_clear = clear_restore(&flow->clear, base, octets, count);
    return flow->has_clear;
}
