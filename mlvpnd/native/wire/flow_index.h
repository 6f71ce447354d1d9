/* The flows that a process knows, by id: the peer's (those of mlvpnd/protocol's FlowTable) and its own. The engine
   refuses datagrams by them. */
#ifndef MLVPND_FLOW_INDEX_H
#define MLVPND_FLOW_INDEX_H

#include <stddef.h>

#include "wire/replay.h"

struct known_flow {
    uint32_t flow_id;
    enum flow_kind {
        FLOW_NONE,
        FLOW_GONE,
        FLOW_OWN,
        FLOW_PEER
    } kind;                 /* FLOW_GONE: a search goes on behind its place */
    struct peer_flow *flow; /* of FLOW_PEER */
};

struct flow_index {
    struct known_flow *places;
    size_t room, used; /* places: a power of two; those that are not FLOW_NONE, at most three quarters */
};

void flow_index_end(struct flow_index *index);
/* What is known of an id; NULL: nothing. */
const struct known_flow *flow_index_find(const struct flow_index *index, uint32_t flow_id);
/* Adds a flow, which must stay where it is; NULL: it is our own. False: no memory, and nothing has changed. */
bool flow_index_put(struct flow_index *index, uint32_t flow_id, struct peer_flow *flow);
void flow_index_forget(struct flow_index *index, uint32_t flow_id);

#endif
