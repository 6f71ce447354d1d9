#include "sending/retransmissions.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(RETRANSMISSIONS_KEY == crypto_shorthash_KEYBYTES, "the key is SipHash's");

void retransmissions_begin(struct retransmissions *seen, const uint8_t key[RETRANSMISSIONS_KEY]) {
    memcpy(seen->key, key, sizeof seen->key);
}

void retransmissions_end(struct retransmissions *seen) {
    free(seen->links);
}

/* The slot of a name, or the free one where it would be. */
static uint16_t *retransmissions_slot_of(struct remembered_table *table, uint64_t hash, const uint8_t *name,
                                         size_t size) {
    for (uint64_t at = hash;; at++) {
        uint16_t *slot = &table->slots[at % RETRANSMISSIONS_SLOTS];
        if (!*slot)
            return slot;
        const struct remembered *one = &table->all[*slot - 1];
        if (one->size == size && !memcmp(one->name, name, size))
            return slot;
    }
}

/* A link's record; NULL: there is none, or no memory for one. */
static struct retransmissions_link *retransmissions_link_of(struct retransmissions *seen, int32_t number, bool add) {
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->links[i].number == number)
            return &seen->links[i];
    }
    if (!add)
        return NULL;
    if (seen->count == seen->room) {
        size_t room = seen->room ? 2 * seen->room : 8;
        struct retransmissions_link *links = realloc(seen->links, room * sizeof *links);
        if (!links)
            return NULL;
        seen->links = links;
        seen->room = room;
    }
    seen->links[seen->count] = (struct retransmissions_link){.number = number};
    return &seen->links[seen->count++];
}

void retransmissions_sent(struct retransmissions *seen, int32_t link, const uint8_t *name, size_t name_size,
                          int64_t length) {
    struct remembered_table *latest = &seen->tables[seen->latest], *earlier = &seen->tables[!seen->latest];
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, name, name_size, seen->key);
    uint16_t *slot = retransmissions_slot_of(latest, hash, name, name_size);
    uint16_t before = *slot ? *slot : *retransmissions_slot_of(earlier, hash, name, name_size);
    if (before) {
        struct retransmissions_link *loser =
            retransmissions_link_of(seen, (*slot ? latest : earlier)->all[before - 1].link, true);
        if (loser) {
            loser->given_lost += length;
            loser->losses++;
        }
    }
    if (!*slot) {
        struct remembered *one = &latest->all[latest->count++];
        memcpy(one->name, name, name_size);
        one->size = (uint8_t)name_size;
        *slot = (uint16_t)latest->count;
    }
    latest->all[*slot - 1].link = link;
    struct retransmissions_link *giver = retransmissions_link_of(seen, link, true);
    if (giver)
        giver->given += length;
    if (latest->count >= RETRANSMISSIONS_REMEMBERED) {
        seen->latest = !seen->latest;
        earlier->count = 0;
        memset(earlier->slots, 0, sizeof earlier->slots);
    }
}

static double share(const struct retransmissions_link *link) {
    return link->lost / (link->sent > RETRANSMISSIONS_CONVICTING ? link->sent : RETRANSMISSIONS_CONVICTING);
}

double retransmissions_share(const struct retransmissions *seen, int32_t link) {
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->links[i].number == link && seen->links[i].has_account)
            return share(&seen->links[i]);
    }
    return 0.0;
}

static void retransmissions_note(struct retransmissions_link *link, int64_t rate, double elapsed) {
    double given = (double)link->given;
    double fade = exp(-elapsed / RETRANSMISSIONS_FORGET - given / RETRANSMISSIONS_WINDOW);
    link->sent = link->sent * fade + given;
    link->lost = link->lost * fade + (double)link->given_lost;
    link->use += (1 - exp(-elapsed / RETRANSMISSIONS_USE_TIME)) * (given / (elapsed * (double)rate) - link->use);
    if (link->use < RETRANSMISSIONS_IDLE) {
        link->full_for = 0.0;
        link->borne = 0;
        link->endured = false;
    } else if (link->use >= RETRANSMISSIONS_FULL) {
        link->full_for += elapsed;
        link->borne += link->losses;
        link->endured |= link->full_for >= RETRANSMISSIONS_ENDURANCE && link->borne >= RETRANSMISSIONS_BORNE;
    }
}

static bool retransmissions_is_harmful(const struct retransmissions *seen, const struct retransmissions_link *link) {
    if (link->endured)
        return false;
    double own = share(link);
    bool others = false, worse = false, all = true;
    for (size_t i = 0; i < seen->count; i++) {
        const struct retransmissions_link *other = &seen->links[i];
        if (other == link || !other->has_account)
            continue;
        others = true;
        if (other->sent >= RETRANSMISSIONS_CONVICTING) {
            worse = worse || own > RETRANSMISSIONS_WORSE * share(other);
            all = all && own > RETRANSMISSIONS_ALIKE * share(other);
        }
    }
    if (link->harmful)
        return own > RETRANSMISSIONS_HARMLESS && others && all;
    return own > RETRANSMISSIONS_HARMFUL && link->use < RETRANSMISSIONS_FULL && worse;
}

bool retransmissions_judge(struct retransmissions *seen, const struct retransmissions_rate *rates, size_t count,
                           double now) {
    double elapsed = now - seen->judged_at;
    bool *harmful = malloc(seen->count + count + 1);
    if (!harmful)
        return false;
    if (elapsed >= RETRANSMISSIONS_LEAST_TIME) {
        for (size_t i = 0; i < count; i++) {
            if (!retransmissions_link_of(seen, rates[i].number, true)) {
                free(harmful);
                return false;
            }
        }
        seen->judged_at = now;
        for (size_t i = 0; i < count; i++) {
            struct retransmissions_link *link = retransmissions_link_of(seen, rates[i].number, false);
            link->has_account = true;
            retransmissions_note(link, rates[i].rate, elapsed);
        }
    }
    size_t left = 0;
    for (size_t i = 0; i < seen->count; i++) {
        struct retransmissions_link link = seen->links[i];
        if (elapsed >= RETRANSMISSIONS_LEAST_TIME)
            link.given = link.given_lost = link.losses = 0;
        bool carries = false;
        for (size_t place = 0; place < count; place++)
            carries = carries || rates[place].number == link.number;
        if (!carries) /* its account is closed; counts since the last judgement are not judged yet */
            link = (struct retransmissions_link){
                .number = link.number, .given = link.given, .given_lost = link.given_lost, .losses = link.losses};
        if (carries || link.given || link.given_lost || link.losses)
            seen->links[left++] = link;
    }
    seen->count = left;
    for (size_t i = 0; i < seen->count; i++)
        harmful[i] = seen->links[i].has_account && retransmissions_is_harmful(seen, &seen->links[i]);
    for (size_t i = 0; i < seen->count; i++)
        seen->links[i].harmful = harmful[i];
    free(harmful);
    return true;
}
