#include "sending/weighted.h"

#include <stdlib.h>

#include "generated.h"

static struct weighted_link *weighted_link_of(const struct weighted *weighted, int32_t number) {
    for (size_t i = 0; i < weighted->count; i++) {
        if (weighted->links[i].number == number)
            return &weighted->links[i];
    }
    return NULL;
}

static int64_t weighted_heaviest_of(const struct weighted_link *links, size_t count) {
    int64_t heaviest = 1;
    for (size_t i = 0; i < count; i++) {
        if (links[i].weight > heaviest)
            heaviest = links[i].weight;
    }
    return heaviest;
}

/* Converts from the old heaviest link's units to the new one's, rounded down. */
static weighted_time weighted_scaled(weighted_time time, int64_t heaviest, int64_t unit) {
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
        const struct weighted_link *known = weighted_link_of(weighted, given[i].number);
        if (!known)
            continue;
        anew = anew || known->weight != given[i].weight;
        if (!any || known->clock < start)
            start = known->clock;
        any = true;
    }
    if (anew)
        start = weighted->virtual_time;
    int64_t heaviest = weighted_heaviest_of(given, count),
            unit = weighted_heaviest_of(weighted->links, weighted->count);
    for (size_t i = 0; i < count; i++) {
        const struct weighted_link *known = anew ? NULL : weighted_link_of(weighted, given[i].number);
        weighted_time clock = known ? known->clock : weighted->virtual_time;
        int64_t cost = WEIGHTED_SCALE * heaviest / given[i].weight;
        links[i] = (struct weighted_link){
            .number = given[i].number,
            .weight = given[i].weight,
            .cost = cost > 1 ? cost : 1,
            .clock = weighted_scaled(clock - start, heaviest, unit),
            .in_burst = true,
        };
    }
    weighted->virtual_time = weighted_scaled(weighted->virtual_time - start, heaviest, unit);
    free(weighted->links);
    weighted->links = links;
    weighted->count = count;
    weighted->burst_begins = false;
    return true;
}

void weighted_begin_burst(struct weighted *weighted, size_t packets) {
    bool fewer = packets >= WEIGHTED_LARGE_BURST && weighted->count > WEIGHTED_BURST_LINKS;
    for (size_t i = 1; fewer && i < weighted->count; i++)
        fewer = weighted->links[i].weight == weighted->links[0].weight;
    for (size_t i = 0; i < weighted->count; i++)
        weighted->links[i].in_burst = !fewer;
    weighted->burst_begins = fewer;
}

static weighted_time weighted_after(const struct weighted_link *link, uint32_t size) {
    return link->clock + (weighted_time)size * link->cost;
}

/* Of the links in the burst, or of the others, the one whose clock would be lowest after a packet. */
static struct weighted_link *weighted_earliest(const struct weighted *weighted, bool in_burst, uint32_t size) {
    struct weighted_link *best = NULL;
    for (size_t i = 0; i < weighted->count; i++) {
        struct weighted_link *link = &weighted->links[i];
        if (link->in_burst == in_burst && (!best || weighted_after(link, size) < weighted_after(best, size)))
            best = link;
    }
    return best;
}

static void weighted_name_burst_links(struct weighted *weighted, uint32_t size) {
    size_t links = (weighted->count + WEIGHTED_BURST_SHARE - 1) / WEIGHTED_BURST_SHARE;
    if (links < WEIGHTED_BURST_LINKS)
        links = WEIGHTED_BURST_LINKS;
    while (links--)
        weighted_earliest(weighted, false, size)->in_burst = true;
    weighted->burst_begins = false;
}

int32_t weighted_pick(struct weighted *weighted, uint32_t size) {
    if (weighted->burst_begins)
        weighted_name_burst_links(weighted, size);
    struct weighted_link *best = weighted_earliest(weighted, true, size);
    if (!best)
        return -1;
    best->clock = weighted->virtual_time = weighted_after(best, size);
    return best->number;
}

void weighted_end(struct weighted *weighted) {
    free(weighted->links);
    *weighted = (struct weighted){0};
}
