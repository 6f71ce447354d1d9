/* The box of protocol v1: NaCl's secretbox (XSalsa20 and Poly1305), byte for byte what crypto_secretbox_easy makes, in
   less time: libsodium makes the keystream in one piece, of a length that it is good at. Twin of mlvpnd/protocol/wire/box.py. */
#ifndef MLVPND_BOX_H
#define MLVPND_BOX_H

#include "wire/wire.h"

/* A nonce has WIRE_NONCE_SIZE bytes, a key WIRE_KEY_SIZE. */

/* Makes the ciphertext in the text's place, and its MAC in the WIRE_MAC_SIZE bytes before. */
void box_seal(uint8_t *text, size_t size, const uint8_t *nonce, const uint8_t *key);

/* Whether the MAC before a ciphertext is right; if so the text is in the ciphertext's place, else it is as it was. */
bool box_open(uint8_t *text, size_t size, const uint8_t *nonce, const uint8_t *key);

/* The same, and the ciphertext stays. */
bool box_verify(const uint8_t *text, size_t size, const uint8_t *nonce, const uint8_t *key);

#endif
