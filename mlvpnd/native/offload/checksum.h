/* Twin of mlvpnd/offload/checksum.py: the Internet checksum (RFC 1071). Sums are numbers modulo 65535. */
#ifndef MLVPND_CHECKSUM_H
#define MLVPND_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

enum { CHECKSUM_MODULUS = 0xffff };

/* The sum of the big-endian words of these bytes, 0 to 65534; an odd last byte is the upper half of a word. */
uint32_t checksum_sum(const uint8_t *data, size_t size);
/* The sum of a pseudo header; `addresses` are both, as they stand in the IP header. */
uint32_t checksum_pseudo(const uint8_t *addresses, size_t size, uint8_t protocol, uint32_t length);
/* The checksum of an IPv4 header of at least 20 bytes, whatever stands in its field. */
uint16_t checksum_ipv4(const uint8_t *header, size_t size);

/* The checksum for a sum. */
static inline uint16_t checksum_of(uint64_t sum) {
    uint32_t rest = (uint32_t)(sum % CHECKSUM_MODULUS);
    return (uint16_t)(rest ? CHECKSUM_MODULUS - rest : 0);
}

#endif
