/* Twin of mlvpnd/protocol/wire/wire.py and constants.py: the header of protocol v1, and the nonce of its box. */
#ifndef MLVPND_WIRE_H
#define MLVPND_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated.h"

enum { WIRE_NONCE_SIZE = 24 };

struct wire_header {
    uint16_t length;
    uint8_t type;
    bool reorder;
    uint16_t timestamp;
    uint16_t timestamp_reply;
    uint32_t flow_id;
    uint64_t seq;
    uint64_t data_seq;
};

static inline uint16_t wire_get16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}
static inline uint32_t wire_get32(const uint8_t *at) {
    return (uint32_t)wire_get16(at) << 16 | wire_get16(at + 2);
}
static inline uint64_t wire_get64(const uint8_t *at) {
    return (uint64_t)wire_get32(at) << 32 | wire_get32(at + 4);
}

static inline void wire_put16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void wire_put32(uint8_t *at, uint32_t value) {
    wire_put16(at, (uint16_t)(value >> 16));
    wire_put16(at + 2, (uint16_t)value);
}
static inline void wire_put64(uint8_t *at, uint64_t value) {
    wire_put32(at, (uint32_t)(value >> 32));
    wire_put32(at + 4, (uint32_t)value);
}

/* Writes a header; `at` has WIRE_HEADER_SIZE bytes. */
static inline void wire_pack(const struct wire_header *header, uint8_t *at) {
    /* A little-endian word: version in bits 0-3, type in 4-9, reorder in 10. */
    unsigned word = WIRE_VERSION | (unsigned)header->type << 4 | (unsigned)header->reorder << 10;
    wire_put16(at, header->length);
    at[2] = (uint8_t)word;
    at[3] = (uint8_t)(word >> 8);
    wire_put16(at + 4, header->timestamp);
    wire_put16(at + 6, header->timestamp_reply);
    wire_put32(at + 8, header->flow_id);
    wire_put64(at + 12, header->seq);
    wire_put64(at + 20, header->data_seq);
}

/* Reads the header of a datagram from outside. DROP_REASONS: it is valid; else why it is not. */
static inline enum drop wire_parse(const uint8_t *datagram, size_t size, struct wire_header *header) {
    if (size < WIRE_HEADER_SIZE)
        return size ? DROP_SHORT : DROP_EMPTY;
    unsigned word = datagram[2] | (unsigned)datagram[3] << 8;
    header->length = wire_get16(datagram);
    header->type = word >> 4 & 0x3f;
    header->reorder = word >> 10 & 1;
    header->timestamp = wire_get16(datagram + 4);
    header->timestamp_reply = wire_get16(datagram + 6);
    header->flow_id = wire_get32(datagram + 8);
    header->seq = wire_get64(datagram + 12);
    header->data_seq = wire_get64(datagram + 20);
    if (header->length == 0 || header->length != size - WIRE_HEADER_SIZE)
        return DROP_BAD_LENGTH;
    if ((word & 0xf) != WIRE_VERSION)
        return DROP_BAD_VERSION;
    if (header->type >= WIRE_TYPES)
        return DROP_UNKNOWN_TYPE;
    return DROP_REASONS;
}

/* The data_seq of an unverified datagram; 0: it has none. */
static inline uint64_t wire_claimed_number(const uint8_t *datagram, size_t size) {
    return size >= WIRE_HEADER_SIZE && datagram[3] & 1 << 2 ? wire_get64(datagram + 20) : 0;
}

/* seq and flow_id little-endian, the rest zero. */
static inline void wire_nonce(uint32_t flow_id, uint64_t seq, uint8_t nonce[WIRE_NONCE_SIZE]) {
    for (int octet = 0; octet < 8; octet++)
        nonce[octet] = (uint8_t)(seq >> 8 * octet);
    for (int octet = 0; octet < 4; octet++)
        nonce[8 + octet] = (uint8_t)(flow_id >> 8 * octet);
    for (int octet = 12; octet < WIRE_NONCE_SIZE; octet++)
        nonce[octet] = 0;
}

#endif
