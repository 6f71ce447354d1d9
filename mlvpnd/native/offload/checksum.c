#include "offload/checksum.h"

#include <string.h>

/* Ones' complement addition: the carry comes in again below. */
static inline uint64_t checksum_add(uint64_t sum, uint64_t word) {
    sum += word;
    return sum + (sum < word);
}

static inline uint64_t checksum_word_at(const uint8_t *data) {
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return word;
}

uint32_t checksum_sum(const uint8_t *data, size_t size) {
    /* The words are added as they lie in memory: this only swaps the bytes of the sum (RFC 1071 §2 B). Four sums do
       not wait for each other. */
    uint64_t sums[4] = {0};
    for (; size >= 32; data += 32, size -= 32) {
        sums[0] = checksum_add(sums[0], checksum_word_at(data));
        sums[1] = checksum_add(sums[1], checksum_word_at(data + 8));
        sums[2] = checksum_add(sums[2], checksum_word_at(data + 16));
        sums[3] = checksum_add(sums[3], checksum_word_at(data + 24));
    }
    uint64_t sum = checksum_add(checksum_add(sums[0], sums[1]), checksum_add(sums[2], sums[3]));
    for (; size >= 8; data += 8, size -= 8)
        sum = checksum_add(sum, checksum_word_at(data));
    if (size) {
        uint64_t word = 0;
        memcpy(&word, data, size);
        sum = checksum_add(sum, word);
    }
    uint32_t rest = (uint32_t)(sum % CHECKSUM_MODULUS);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    rest = (rest & 0xff) << 8 | rest >> 8;
#endif
    return rest;
}

uint32_t checksum_pseudo(const uint8_t *addresses, size_t size, uint8_t protocol, uint32_t length) {
    return (uint32_t)(((uint64_t)checksum_sum(addresses, size) + protocol + length) % CHECKSUM_MODULUS);
}

uint16_t checksum_ipv4(const uint8_t *header, size_t size) {
    return checksum_of((uint64_t)checksum_sum(header, 10) + checksum_sum(header + 12, size - 12));
}
