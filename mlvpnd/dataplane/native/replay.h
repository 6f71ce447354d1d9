/* Twin of mlvpnd/protocol/replay.py: which numbers of a flow have been seen. */
#ifndef MLVPND_REPLAY_H
#define MLVPND_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_WINDOW_SIZE = 2048, REPLAY_WORDS = REPLAY_WINDOW_SIZE / 64 };

/* A ring of bits: number n is bit n % size. Bits of numbers that the window has not reached are 0. */
struct replay_window {
    uint64_t newest;
    uint64_t bits[REPLAY_WORDS];
};

void replay_begin(struct replay_window *window, uint64_t first);
bool replay_may_accept(const struct replay_window *window, uint64_t seq);
bool replay_accept(struct replay_window *window, uint64_t seq);

#endif
