#include "weighted.h"

#include <stdlib.h>

enum { SCALE = 1 << 20 };

static struct weighted_link *link_of(const struct weighted *weighted, int32_t number) {
    for (size_t i = 0; i < weighted->count; i++) {
        if (weighted->links[i].number == number)
            return &weighted->links[i];
    }
    return NULL;
}

static int64_t heaviest_of(const struct weighted_link *links, size_t count) {
    int64_t heaviest = 1;
    for (size_t i = 0; i < count; i++) {
        if (links[i].weight > heaviest)
            heaviest = links[i].weight;
    }
    return heaviest;
}

/* From units of the heaviest link that was to those of the one that is, rounded down. */
static weighted_time scaled(weighted_time time, int64_t heaviest, int64_t unit) {
    weighted_time product = time * heaviest, quotient = product / unit;
    return product % unit < 0 ? quotient - 1 : quotient;
}

bool weighted_set_links(struct weighted *weighted, const struct weighted_link *given, size_t count) {
    struct weighted_link *links = calloc(count + 1, sizeof *links);
    if (!links)
        return false;
    bool anew = false, any = false;
    weighted_time start = weighted->virtual_time;
    for (size_t i = 0; i < count; i++) {
        const struct weighted_link *known = link_of(weighted, given[i].number);
        if (!known)
            continue;
        anew = anew || known->weight != given[i].weight;
        if (!any || known->clock < start)
            start = known->clock;
        any = true;
    }
    if (anew)
        start = weighted->virtual_time;
    int64_t heaviest = heaviest_of(given, count), unit = heaviest_of(weighted->links, weighted->count);
    for (size_t i = 0; i < count; i++) {
        const struct weighted_link *known = anew ? NULL : link_of(weighted, given[i].number);
        weighted_time clock = known ? known->clock : weighted->virtual_time;
        int64_t cost = SCALE * heaviest / given[i].weight;
        links[i] = (struct weighted_link){
            .number = given[i].number,
            .weight = given[i].weight,
            .cost = cost > 1 ? cost : 1,
            .clock = scaled(clock - start, heaviest, unit),
        };
    }
    weighted->virtual_time = scaled(weighted->virtual_time - start, heaviest, unit);
    free(weighted->links);
    weighted->links = links;
    weighted->count = count;
    return true;
}

int32_t weighted_pick(struct weighted *weighted, uint32_t size) {
    struct weighted_link *best = NULL;
    weighted_time best_after = 0;
    for (size_t i = 0; i < weighted->count; i++) {
        struct weighted_link *link = &weighted->links[i];
        weighted_time after = link->clock + (weighted_time)size * link->cost;
        if (!best || after < best_after) {
            best = link;
            best_after = after;
        }
    }
    if (!best)
        return -1;
    best->clock = weighted->virtual_time = best_after;
    return best->number;
}

void weighted_end(struct weighted *weighted) {
    free(weighted->links);
    *weighted = (struct weighted){0};
}
