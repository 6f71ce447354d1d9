/* Twin of mlvpnd/protocol/wire/replay.py: which numbers of a flow have been seen. */
#ifndef MLVPND_REPLAY_H
#define MLVPND_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated.h"

enum { REPLAY_WORDS = PROTOCOL_REPLAY_WINDOW_SIZE / 64 };

/* A ring of bits: number n is bit n % size. It has one bit for each of the last `size` numbers up to the newest. */
struct replay_window {
    uint64_t newest;
    uint64_t bits[REPLAY_WORDS];
};

/* Begins with `first` and all numbers before it seen. */
void replay_begin(struct replay_window *window, uint64_t first);
/* Begins with `newest` as the only number seen in its window. */
void replay_begin_unseen(struct replay_window *window, uint64_t newest);
/* Bit n of `seen`, words in ascending order: number `newest` - n has been seen. */
void replay_restore(struct replay_window *window, uint64_t newest, const uint64_t seen[REPLAY_WORDS]);
void replay_seen(const struct replay_window *window, uint64_t seen[REPLAY_WORDS]);
bool replay_may_accept(const struct replay_window *window, uint64_t seq);
bool replay_accept(struct replay_window *window, uint64_t seq);

/* A ring of bits too, for the `size` numbers from `base` on. */
struct clear_window {
    uint64_t base;
    uint64_t size;
    uint8_t *seen;
};

/* `size` is a multiple of 8, a power of two; false: no memory. */
bool clear_begin(struct clear_window *window, uint64_t newest_authentic, uint64_t size);
/* Restores a window of PROTOCOL_CLEAR_WINDOW_SIZE numbers. `octets` are the first `count` that clear_seen gave. False:
   no memory. */
bool clear_restore(struct clear_window *window, uint64_t base, const uint8_t *octets, size_t count);
/* `size` / 8 octets: bit n, the lowest of an octet first, is the number `base` + n. */
void clear_seen(const struct clear_window *window, uint8_t *octets);
void clear_end(struct clear_window *window);
void clear_anchor(struct clear_window *window, uint64_t newest_authentic);
bool clear_accept(struct clear_window *window, uint64_t seq);
/* How many numbers were seen, from `first` up to but not including `end`. */
uint64_t clear_count(const struct clear_window *window, uint64_t first, uint64_t end);

/* One flow of the peer. */
struct peer_flow {
    uint32_t flow_id;
    int32_t link; /* where it was introduced last; equal to the `name` of that link's path */
    bool ousted;
    bool insistent;
    bool has_clear; /* clear DATA has come; else `clear` means nothing */
    struct replay_window window;
    struct clear_window clear;
};

void peer_flow_begin(struct peer_flow *flow, uint32_t flow_id, int32_t link, uint64_t seq);
void peer_flow_end(struct peer_flow *flow);
/* Gives the flow a window for clear DATA as clear_restore does; false: no memory. */
bool peer_flow_restore_clear(struct peer_flow *flow, uint64_t base, const uint8_t *octets, size_t count);

#endif
