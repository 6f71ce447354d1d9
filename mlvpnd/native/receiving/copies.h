/* Twin of mlvpnd/protocol/receiving/copies.py: of a packet's copies, only the first passes. */
#ifndef MLVPND_COPIES_H
#define MLVPND_COPIES_H

#include "wire/replay.h"

struct copy_filter {
    struct replay_window window;
    bool begun;
};

void copies_begin(struct copy_filter *copies);
/* Whether no copy of this packet has come before. 0 is no number; it always passes. */
bool copies_is_first(struct copy_filter *copies, uint64_t number);

#endif
