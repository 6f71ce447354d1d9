#include "receiving/copies.h"

void copies_begin(struct copy_filter *copies) {
    copies->begun = false;
    copies->window.newest = 0;
}

bool copies_is_first(struct copy_filter *copies, uint64_t number) {
    if (!number)
        return true;
    uint64_t newest = copies->window.newest;
    if (!copies->begun || (number > newest ? number - newest : newest - number) >= COPIES_JUMP) {
        replay_begin_unseen(&copies->window, number);
        copies->begun = true;
        return true;
    }
    return replay_accept(&copies->window, number);
}
