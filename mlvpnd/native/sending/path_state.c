#include "sending/path_state.h"

#include <stdlib.h>

void path_measure_anew(struct path_state *path, uint64_t seq) {
    rtt_begin(&path->rtt);
    echo_begin(&path->echo);
    transit_begin(&path->transit);
    disorder_begin(&path->disorder, seq);
}

void path_measure_loss(struct path_state *path, uint64_t seq) {
    loss_begin(&path->loss, seq);
    path->measures_loss = true;
}

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

bool path_table_add(struct path_table *table, struct path_state *path) {
    struct path_state **paths = realloc(table->paths, (table->count + 1) * sizeof *paths);
    if (!paths)
        return false;
    table->paths = paths;
    table->paths[table->count++] = path;
    return true;
}

void path_table_remove(struct path_table *table, const struct path_state *path) {
    size_t kept = 0;
    for (size_t index = 0; index < table->count; index++)
        if (table->paths[index] != path)
            table->paths[kept++] = table->paths[index];
    table->count = kept;
}

void path_table_end(struct path_table *table) {
    free(table->paths);
    *table = (struct path_table){0};
}
