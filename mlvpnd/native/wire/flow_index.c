#include "wire/flow_index.h"

#include <stdlib.h>

/* The place of an id, or the free place where a search for it ends. There is always a free one. */
static struct known_flow *flow_index_place_of(struct known_flow *places, size_t room, uint32_t flow_id) {
    size_t at = flow_id * UINT32_C(2654435761) & (room - 1);
    while (places[at].kind != FLOW_NONE && (places[at].kind == FLOW_GONE || places[at].flow_id != flow_id))
        at = (at + 1) & (room - 1);
    return &places[at];
}

void flow_index_end(struct flow_index *index) {
    free(index->places);
    *index = (struct flow_index){0};
}

const struct known_flow *flow_index_find(const struct flow_index *index, uint32_t flow_id) {
    if (!index->room)
        return NULL;
    const struct known_flow *place = flow_index_place_of(index->places, index->room, flow_id);
    return place->kind == FLOW_NONE ? NULL : place;
}

/* Makes room for one more flow, and clears the places of gone flows; false: no memory. */
static bool flow_index_make_room(struct flow_index *index) {
    size_t kept = 0, room = 64;
    for (size_t at = 0; at < index->room; at++)
        kept += index->places[at].kind > FLOW_GONE;
    while (room < 2 * (kept + 1))
        room *= 2;
    struct known_flow *places = calloc(room, sizeof *places);
    if (!places)
        return false;
    for (size_t at = 0; at < index->room; at++)
        if (index->places[at].kind > FLOW_GONE)
            *flow_index_place_of(places, room, index->places[at].flow_id) = index->places[at];
    free(index->places);
    *index = (struct flow_index){.places = places, .room = room, .used = kept};
    return true;
}

bool flow_index_put(struct flow_index *index, uint32_t flow_id, struct peer_flow *flow) {
    if (4 * (index->used + 1) > 3 * index->room && !flow_index_make_room(index))
        return false;
    struct known_flow *place = flow_index_place_of(index->places, index->room, flow_id);
    index->used += place->kind == FLOW_NONE;
    *place = (struct known_flow){.flow_id = flow_id, .kind = flow ? FLOW_PEER : FLOW_OWN, .flow = flow};
    return true;
}

void flow_index_forget(struct flow_index *index, uint32_t flow_id) {
    if (!index->room)
        return;
    struct known_flow *place = flow_index_place_of(index->places, index->room, flow_id);
    if (place->kind != FLOW_NONE)
        *place = (struct known_flow){.kind = FLOW_GONE};
}
