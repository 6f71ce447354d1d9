#include "receiving/reorder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t HALF = UINT64_C(1) << 63;

/* Whether a number is later than `first`, or the same. */
static inline bool reorder_is_from(uint64_t number, uint64_t first) {
    return number - first < HALF;
}

static inline uint32_t reorder_place_of(uint64_t number) {
    return number % REORDER_JUMP;
}

bool reorder_begin(struct reorder_buffer *buffer, size_t size, double wait) {
    memset(buffer, 0, sizeof *buffer);
    buffer->size = size;
    buffer->wait = wait;
    /* Never more than REORDER_JUMP numbers are held, however large `size` is. */
    size_t room = size < REORDER_JUMP ? size + 1 : REORDER_JUMP;
    size_t slots = 2;
    while (slots < 2 * room)
        slots *= 2;
    buffer->mask = (uint32_t)slots - 1;
    buffer->entries = calloc(room + 1, sizeof *buffer->entries);
    buffer->table = calloc(slots, sizeof *buffer->table);
    if (!buffer->entries || !buffer->table) {
        reorder_end(buffer);
        return false;
    }
    for (uint32_t at = 1; at < room; at++)
        buffer->entries[at].chain = at + 1;
    buffer->free = 1;
    return true;
}

void reorder_end(struct reorder_buffer *buffer) {
    struct packet_list held = {0};
    reorder_flush(buffer, &held);
    packet_list_free(&held);
    free(buffer->entries);
    free(buffer->table);
    free(buffer->links);
    free(buffer->sources);
    buffer->entries = NULL;
    buffer->table = NULL;
    buffer->links = NULL;
    buffer->sources = NULL;
}

/* What is held. */

static inline bool reorder_is_held(const struct reorder_buffer *buffer, uint64_t number) {
    return buffer->early[reorder_place_of(number) / 64] >> (number % 64) & 1;
}

/* The first number held; there must be one. No number before the expected one is held. */
static uint64_t reorder_first_held(const struct reorder_buffer *buffer) {
    uint32_t word = reorder_place_of(buffer->next) / 64;
    uint64_t bits = buffer->early[word] & ~UINT64_C(0) << (buffer->next % 64);
    while (!bits) {
        word = (word + 1) % (REORDER_JUMP / 64);
        bits = buffer->early[word];
    }
    uint32_t place = word * 64 + (uint32_t)__builtin_ctzll(bits);
    return buffer->next + (place - reorder_place_of(buffer->next)) % REORDER_JUMP;
}

/* What links have brought. */

/* A link's place among some sources, or the free place that it would have. */
static struct reorder_source *reorder_place_of_source(struct reorder_source *sources, size_t room, int32_t link) {
    size_t at = (uint32_t)link * UINT32_C(2654435761) & (room - 1);
    while (sources[at].is_used && sources[at].link != link)
        at = (at + 1) & (room - 1);
    return &sources[at];
}

static struct reorder_source *reorder_source_of(const struct reorder_buffer *buffer, int32_t link) {
    if (!buffer->source_room)
        return NULL;
    struct reorder_source *source = reorder_place_of_source(buffer->sources, buffer->source_room, link);
    return source->is_used ? source : NULL;
}

/* Whether a link has brought a number above the expected one. */
static inline bool reorder_is_ahead(const struct reorder_buffer *buffer, const struct reorder_source *source) {
    return source && reorder_is_from(source->highest, buffer->next);
}

/* Adds a link that is no source yet; NULL: no memory. Links that are not ahead make room: they hold nothing. */
static struct reorder_source *reorder_add_source(struct reorder_buffer *buffer, int32_t link) {
    if (2 * (buffer->source_count + 1) > buffer->source_room) {
        size_t kept = 0, room = 16;
        for (size_t at = 0; at < buffer->source_room; at++)
            kept += buffer->sources[at].is_used && reorder_is_ahead(buffer, &buffer->sources[at]);
        while (room < 4 * (kept + 1))
            room *= 2;
        struct reorder_source *sources = calloc(room, sizeof *sources);
        if (!sources)
            return NULL;
        for (size_t at = 0; at < buffer->source_room; at++) {
            const struct reorder_source *source = &buffer->sources[at];
            if (source->is_used && reorder_is_ahead(buffer, source))
                *reorder_place_of_source(sources, room, source->link) = *source;
        }
        free(buffer->sources);
        buffer->sources = sources;
        buffer->source_room = room;
        buffer->source_count = kept;
    }
    struct reorder_source *source = reorder_place_of_source(buffer->sources, buffer->source_room, link);
    *source = (struct reorder_source){.link = link, .is_used = true, .highest = buffer->next - 1};
    buffer->source_count++;
    return source;
}

/* What is held, and of which link. */

static void reorder_put(struct reorder_buffer *buffer, struct packet *packet, struct reorder_source *source) {
    uint64_t number = packet->data_seq;
    struct reorder_entry *entries = buffer->entries;
    uint32_t at = buffer->free, newest = entries[0].older, *slot = &buffer->table[number & buffer->mask];
    buffer->free = entries[at].chain;
    entries[at] =
        (struct reorder_entry){.packet = packet, .chain = *slot, .older = newest, .link_older = source->newest};
    *slot = at;
    entries[newest].newer = at;
    entries[0].older = at;
    if (source->newest)
        entries[source->newest].link_newer = at;
    else
        source->oldest = at;
    source->newest = at;
    buffer->early[reorder_place_of(number) / 64] |= UINT64_C(1) << (number % 64);
    buffer->held++;
}

/* Takes out a packet that is held. */
static struct packet *reorder_take(struct reorder_buffer *buffer, uint64_t number) {
    struct reorder_entry *entries = buffer->entries;
    uint32_t *slot = &buffer->table[number & buffer->mask];
    while (entries[*slot].packet->data_seq != number)
        slot = &entries[*slot].chain;
    uint32_t at = *slot;
    struct packet *packet = entries[at].packet;
    *slot = entries[at].chain;
    entries[entries[at].older].newer = entries[at].newer;
    entries[entries[at].newer].older = entries[at].older;
    struct reorder_source *source = reorder_source_of(buffer, packet->link);
    *(entries[at].link_older ? &entries[entries[at].link_older].link_newer : &source->oldest) = entries[at].link_newer;
    *(entries[at].link_newer ? &entries[entries[at].link_newer].link_older : &source->newest) = entries[at].link_older;
    entries[at] = (struct reorder_entry){.chain = buffer->free};
    buffer->free = at;
    buffer->early[reorder_place_of(number) / 64] &= ~(UINT64_C(1) << (number % 64));
    buffer->held--;
    return packet;
}

static inline struct packet *reorder_oldest(const struct reorder_buffer *buffer) {
    return buffer->entries[buffer->entries[0].newer].packet;
}

/* Finds out since when every link that may bring the missing number has brought a later one. */
static void reorder_look_at_hole(struct reorder_buffer *buffer) {
    double passed = buffer->opened;
    buffer->has_passed = false;
    for (size_t at = 0; at < buffer->link_count; at++) {
        const struct reorder_link *link = &buffer->links[at];
        const struct reorder_source *source = reorder_source_of(buffer, link->link);
        if (!reorder_is_ahead(buffer, source))
            return;
        if (link->disorder > 0) {
            /* The link is ahead, so its highest packet is held. */
            double until = buffer->entries[source->oldest].packet->arrived + link->disorder;
            if (until > passed)
                passed = until;
        }
    }
    buffer->passed = passed;
    buffer->has_passed = true;
}

bool reorder_set_links(struct reorder_buffer *buffer, const struct reorder_link *links, size_t count) {
    if (count != buffer->link_count) {
        struct reorder_link *own = realloc(buffer->links, (count ? count : 1) * sizeof *own);
        if (!own)
            return false;
        buffer->links = own;
        buffer->link_count = count;
    }
    if (count)
        memcpy(buffer->links, links, count * sizeof *links);
    if (buffer->held)
        reorder_look_at_hole(buffer);
    return true;
}

/* What leaves. */

/* Takes out the contiguous packets from the expected number on. */
static void reorder_run(struct reorder_buffer *buffer, struct packet_list *out) {
    while (buffer->held && reorder_is_held(buffer, buffer->next)) {
        packet_list_push(out, reorder_take(buffer, buffer->next));
        buffer->fates[reorder_place_of(buffer->next++)] = REORDER_DELIVERED;
    }
    if (buffer->held) {
        buffer->opened = reorder_oldest(buffer)->arrived;
        reorder_look_at_hole(buffer);
    }
}

/* Skips every hole that is not to be waited for any more, or behind which too many packets wait. */
static void reorder_give_up(struct reorder_buffer *buffer, double now, struct packet_list *out) {
    while (buffer->held) {
        if (buffer->held <= buffer->size && (!buffer->has_passed || buffer->passed > now)) {
            if (buffer->opened + buffer->wait > now)
                return;
            buffer->timeouts++;
        }
        uint64_t first = reorder_first_held(buffer);
        size_t place = reorder_place_of(buffer->next), length = (size_t)(first - buffer->next);
        size_t until_end = length < REORDER_JUMP - place ? length : REORDER_JUMP - place;
        memset(&buffer->fates[place], REORDER_GIVEN_UP, until_end);
        memset(buffer->fates, REORDER_GIVEN_UP, length - until_end);
        buffer->next = first;
        reorder_run(buffer, out);
    }
}

double reorder_deadline(const struct reorder_buffer *buffer) {
    if (!buffer->held)
        return INFINITY;
    double due = buffer->opened + buffer->wait;
    return buffer->has_passed && buffer->passed < due ? buffer->passed : due;
}

void reorder_expire(struct reorder_buffer *buffer, double now, struct packet_list *out) {
    reorder_give_up(buffer, now, out);
}

void reorder_flush(struct reorder_buffer *buffer, struct packet_list *out) {
    while (buffer->held) {
        buffer->next = reorder_first_held(buffer);
        packet_list_push(out, reorder_take(buffer, buffer->next));
    }
    if (buffer->source_count)
        memset(buffer->sources, 0, buffer->source_room * sizeof *buffer->sources);
    buffer->source_count = 0;
    buffer->counting = false;
}

/* What comes. */

/* Begins a new count with this packet. */
static void reorder_count_from(struct reorder_buffer *buffer, struct packet *packet, double now,
                               struct packet_list *out) {
    reorder_flush(buffer, out);
    buffer->next = packet->data_seq + 1;
    buffer->counting = true;
    buffer->began = now;
    buffer->strays = 0;
    memset(buffer->fates, 0, sizeof buffer->fates);
    buffer->fates[reorder_place_of(packet->data_seq)] = REORDER_DELIVERED;
    packet_list_push(out, packet);
}

static bool reorder_hold(struct reorder_buffer *buffer, struct packet *packet, double now, int32_t link,
                         struct packet_list *out) {
    uint64_t number = packet->data_seq;
    if (reorder_is_held(buffer, number)) {
        buffer->duplicates++;
        packet_free(packet);
        return true;
    }
    struct reorder_source *source = reorder_source_of(buffer, link);
    bool was_ahead = reorder_is_ahead(buffer, source);
    if (!source)
        source = reorder_add_source(buffer, link);
    struct packet *kept = source ? packet_keep(packet) : NULL;
    if (!kept) {
        packet_free(packet);
        return false;
    }
    kept->arrived = now;
    kept->link = link;
    reorder_put(buffer, kept, source);
    if (!was_ahead || reorder_is_from(number, source->highest))
        source->highest = number;
    if (buffer->held == 1) {
        buffer->opened = now;
        reorder_look_at_hole(buffer);
    } else if (!buffer->has_passed && !was_ahead) {
        reorder_look_at_hole(buffer);
    }
    if (buffer->held > buffer->size || buffer->has_passed || buffer->opened + buffer->wait <= now)
        reorder_give_up(buffer, now, out);
    return true;
}

/* Notes a straggler or repetition. True: it was one too many, so a new count began with it, and it has left. */
static bool reorder_is_believed(struct reorder_buffer *buffer, struct packet *packet, double now,
                                struct packet_list *out) {
    if (++buffer->strays < REORDER_STRAYS)
        return false;
    reorder_count_from(buffer, packet, now, out);
    return true;
}

static void reorder_late(struct reorder_buffer *buffer, struct packet *packet, double now, struct packet_list *out) {
    uint8_t *fate = &buffer->fates[reorder_place_of(packet->data_seq)];
    if (buffer->next - packet->data_seq > REORDER_JUMP) {
        if (!reorder_is_believed(buffer, packet, now, out))
            packet_list_push(out, packet);
    } else if (*fate == REORDER_DELIVERED) {
        if (!reorder_is_believed(buffer, packet, now, out)) {
            buffer->duplicates++;
            packet_free(packet);
        }
    } else {
        *fate = REORDER_DELIVERED;
        buffer->late++;
        packet_list_push(out, packet);
    }
}

bool reorder_push_slowly(struct reorder_buffer *buffer, struct packet *packet, double now, int32_t link,
                         struct packet_list *out) {
    uint64_t ahead = packet->data_seq - buffer->next;
    if (!buffer->counting || (ahead >= REORDER_JUMP && ahead < HALF)) {
        reorder_count_from(buffer, packet, now, out);
    } else if (ahead >= HALF) {
        reorder_late(buffer, packet, now, out);
    } else if (ahead) {
        buffer->strays = 0;
        return reorder_hold(buffer, packet, now, link, out);
    } else {
        buffer->fates[reorder_place_of(buffer->next++)] = REORDER_DELIVERED;
        buffer->strays = 0;
        packet_list_push(out, packet);
        reorder_run(buffer, out);
        if (buffer->held && (buffer->has_passed || buffer->opened + buffer->wait <= now))
            reorder_give_up(buffer, now, out);
    }
    return true;
}

int reorder_is_anew(const struct reorder_buffer *buffer, uint64_t data_seq, double now, double grace) {
    if (!buffer->counting)
        return 0;
    uint64_t ahead = data_seq - buffer->next;
    if (ahead < HALF)
        return ahead >= REORDER_JUMP;
    if (buffer->next - data_seq > REORDER_JUMP)
        return 1;
    uint8_t fate = buffer->fates[reorder_place_of(data_seq)];
    return fate == REORDER_DELIVERED || (!fate && now >= buffer->began + grace) ? 1 : -1;
}
