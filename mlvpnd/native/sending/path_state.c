#include "sending/path_state.h"

#include <stdlib.h>

bool path_queue(struct path_state *path, const struct address *to, struct packet *datagram) {
    struct burst *burst = path->last_burst;
    if (!burst || (!address_equal(&burst->address, to) && burst->datagrams.count)) {
        burst = calloc(1, sizeof *burst);
        if (!burst)
            return false;
        burst->address = *to;
        if (path->last_burst)
            path->last_burst->next = burst;
        else
            path->bursts = burst;
        path->last_burst = burst;
    } else if (!burst->datagrams.count) { /* an empty burst is kept for the next datagram */
        burst->address = *to;
    }
    packet_list_push(&burst->datagrams, datagram);
    return true;
}

void path_burst_free(struct burst *burst) {
    packet_list_free(&burst->datagrams);
    free(burst);
}

void path_clear(struct path_state *path) {
    struct burst *burst;
    while ((burst = path->bursts)) {
        path->bursts = burst->next;
        path_burst_free(burst);
    }
    path->last_burst = NULL;
}
