/* Measures the cost of protocol v1's box alone: seals and opens packets of one size, and does nothing else.
 *
 *     secretbox libsodium|native SIZE SECONDS
 *
 * Prints CPU seconds per packet, sealing and opening. There are some dozens of packets, each in its own place,
 * as in a burst. A single packet would stay in the nearest cache. */

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/box.h"

enum { PACKETS = 45, LARGEST = 65536 };

static unsigned char plain[PACKETS][LARGEST], sealed[PACKETS][LARGEST + crypto_secretbox_MACBYTES];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static const unsigned char *nonce_of(uint64_t number) {
    static unsigned char nonce[crypto_secretbox_NONCEBYTES];
    memcpy(nonce, &number, sizeof number);
    return nonce;
}

int main(int argc, char **argv) {
    if (argc != 4 || sodium_init() < 0)
        return 2;
    bool native = strcmp(argv[1], "native") == 0;
    size_t size = strtoul(argv[2], NULL, 10);
    double seconds = strtod(argv[3], NULL);
    if (size == 0 || size > LARGEST)
        return 2;
    unsigned char key[crypto_secretbox_KEYBYTES];
    randombytes_buf(key, sizeof key);
    randombytes_buf(plain, sizeof plain);
    double sealing = 0, opening = 0;
    uint64_t first = 0;
    for (; sealing + opening < seconds; first += PACKETS) {
        double begin = now();
        for (uint64_t i = 0; i < PACKETS; i++) {
            unsigned char *box = sealed[i];
            if (native) /* in place, as the packets of an interface are */
                box_seal(box + WIRE_MAC_SIZE, size, nonce_of(first + i), key);
            else
                crypto_secretbox_easy(box, plain[i], size, nonce_of(first + i), key);
        }
        double middle = now();
        for (uint64_t i = 0; i < PACKETS; i++) {
            unsigned char *box = sealed[i];
            if (native ? !box_open(box + WIRE_MAC_SIZE, size, nonce_of(first + i), key)
                       : crypto_secretbox_open_easy(plain[i], box, size + WIRE_MAC_SIZE, nonce_of(first + i), key))
                return 1;
        }
        sealing += middle - begin;
        opening += now() - middle;
    }
    printf("%.10e %.10e %s\n", sealing / (double)first, opening / (double)first, sodium_version_string());
    return 0;
}
