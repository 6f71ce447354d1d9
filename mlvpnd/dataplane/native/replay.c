#include "replay.h"

#include <string.h>

enum { MASK = REPLAY_WINDOW_SIZE - 1 };

static inline bool is_set(const struct replay_window *window, uint64_t seq) {
    return window->bits[(seq & MASK) / 64] >> (seq % 64) & 1;
}

static inline void set(struct replay_window *window, uint64_t seq) {
    window->bits[(seq & MASK) / 64] |= UINT64_C(1) << (seq % 64);
}

void replay_begin(struct replay_window *window, uint64_t first) {
    window->newest = first;
    memset(window->bits, 0xff, sizeof window->bits);
}

bool replay_may_accept(const struct replay_window *window, uint64_t seq) {
    if (seq > window->newest)
        return true;
    return window->newest - seq < REPLAY_WINDOW_SIZE && !is_set(window, seq);
}

bool replay_accept(struct replay_window *window, uint64_t seq) {
    if (seq <= window->newest) {
        if (!replay_may_accept(window, seq))
            return false;
        set(window, seq);
        return true;
    }
    if (seq - window->newest >= REPLAY_WINDOW_SIZE) {
        memset(window->bits, 0, sizeof window->bits);
    } else {
        for (uint64_t skipped = window->newest + 1; skipped < seq; skipped++)
            window->bits[(skipped & MASK) / 64] &= ~(UINT64_C(1) << (skipped % 64));
    }
    set(window, seq);
    window->newest = seq;
    return true;
}
