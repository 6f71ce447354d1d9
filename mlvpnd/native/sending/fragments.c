#include "sending/fragments.h"

#include <string.h>
#include <zlib.h>

#include "wire/inner.h"

enum { NEXT_HEADER = 6 }; /* its place in IPv6's header */

/* Hop-by-hop options, routing, fragment, destination options (RFC 8200). */
static bool fragments_is_extension(uint8_t kind) {
    return kind == 0 || kind == 43 || kind == FRAGMENTS_FRAGMENT || kind == 60;
}

static bool fragments_ipv6_piece(const uint8_t *data, size_t size, struct piece *piece) {
    const uint8_t *ip = data + piece->start;
    uint8_t kind = ip[NEXT_HEADER];
    size_t at = piece->start + IPV6_HEADER;
    for (int count = 0; count < FRAGMENTS_MOST_HEADERS && fragments_is_extension(kind); count++) {
        if (at + 8 > size)
            return false;
        if (kind == FRAGMENTS_FRAGMENT) {
            unsigned place = (unsigned)data[at + 2] << 8 | data[at + 3]; /* in units of 8 bytes above 3 bits of flags */
            if (place & 0xfff9) {
                memcpy(piece->name, ip + 8, 32);
                memcpy(piece->name + 32, data + at + 4, 4);
                piece->name_size = 36;
            }
            if (place & 0xfff8) {
                piece->kind = kind;
                piece->rest = at;
                return true;
            }
            kind = data[at];
            at += 8;
        } else {
            kind = data[at];
            at += 8 + 8 * (size_t)data[at + 1];
        }
    }
    if (fragments_is_extension(kind) || at > size)
        return false;
    piece->first = piece->name_size;
    piece->kind = kind;
    piece->rest = at;
    return true;
}

bool piece_of(const uint8_t *data, size_t size, bool layer2, struct piece *piece) {
    *piece = (struct piece){.start = layer2 ? inner_in_frame(data, size) : 0};
    if ((layer2 && !piece->start) || size < piece->start + IPV4_HEADER)
        return false;
    const uint8_t *ip = data + piece->start;
    if (ip[0] >> 4 == 4) {
        if (ip[0] < 0x45) /* no header is so short; inner_classify sees no IP packet either */
            return false;
        if (!(ip[6] & FRAGMENTS_MORE_FRAGMENTS_OR_OFFSET || ip[7]))
            return false;
        memcpy(piece->name, ip + 12, 8);
        piece->name[8] = ip[9];
        memcpy(piece->name + 9, ip + 4, 2);
        piece->name_size = 11;
        piece->first = !(ip[6] & FRAGMENTS_OFFSET || ip[7]);
        return true;
    }
    return ip[0] >> 4 == 6 && size >= piece->start + IPV6_HEADER && fragments_is_extension(ip[NEXT_HEADER]) &&
           fragments_ipv6_piece(data, size, piece);
}

size_t piece_plain(const struct piece *piece, const uint8_t *data, size_t size, uint8_t *out) {
    size_t headers = piece->start + IPV6_HEADER;
    memcpy(out, data, headers);
    out[piece->start + NEXT_HEADER] = piece->kind;
    memcpy(out + headers, data + piece->rest, size - piece->rest);
    return headers + size - piece->rest;
}

static size_t fragments_place_of(const uint8_t *name, size_t size) {
    return crc32(0, name, (uInt)size) % FRAGMENTS_REMEMBERED;
}

void fragments_clear(struct fragments *table) {
    memset(table, 0, sizeof *table);
}

void fragments_note(struct fragments *table, const uint8_t *name, size_t size, uint16_t decision, double now) {
    struct fragment *fragment = &table->places[fragments_place_of(name, size)];
    memcpy(fragment->name, name, size);
    fragment->name_size = (uint8_t)size;
    fragment->decision = decision;
    fragment->at = now;
}

int fragments_find(const struct fragments *table, const uint8_t *name, size_t size, double now) {
    const struct fragment *fragment = &table->places[fragments_place_of(name, size)];
    bool known = fragment->name_size == size && !memcmp(fragment->name, name, size);
    return known && now - fragment->at < FRAGMENTS_LIFETIME ? fragment->decision : -1;
}
