/* What crypto_secretbox costs by itself: seals and opens packets of one size, and nothing else.
 *
 *     secretbox SIZE SECONDS
 *
 * Prints CPU seconds per packet, sealing and opening. The packets are some dozens, each in a place of its own, as in a
 * burst: not one that stays in the nearest cache. */

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PACKETS = 45, LARGEST = 65536 };

static unsigned char plain[PACKETS][LARGEST], sealed[PACKETS][LARGEST + crypto_secretbox_MACBYTES];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 3 || sodium_init() < 0)
        return 2;
    size_t size = strtoul(argv[1], NULL, 10);
    double seconds = strtod(argv[2], NULL);
    if (size == 0 || size > LARGEST)
        return 2;
    unsigned char key[crypto_secretbox_KEYBYTES], nonce[crypto_secretbox_NONCEBYTES] = {0};
    randombytes_buf(key, sizeof key);
    randombytes_buf(plain, sizeof plain);
    double sealing = 0, opening = 0;
    uint64_t first = 0;
    for (; sealing + opening < seconds; first += PACKETS) {
        double begin = now();
        for (uint64_t i = 0; i < PACKETS; i++) {
            uint64_t number = first + i;
            memcpy(nonce, &number, sizeof number);
            crypto_secretbox_easy(sealed[i], plain[i], size, nonce, key);
        }
        double middle = now();
        for (uint64_t i = 0; i < PACKETS; i++) {
            uint64_t number = first + i;
            memcpy(nonce, &number, sizeof number);
            if (crypto_secretbox_open_easy(plain[i], sealed[i], size + crypto_secretbox_MACBYTES, nonce, key))
                return 1;
        }
        sealing += middle - begin;
        opening += now() - middle;
    }
    printf("%.10e %.10e %s\n", sealing / (double)first, opening / (double)first, sodium_version_string());
    return 0;
}
