/* Twin of mlvpnd/protocol/wire/box.py. The box of protocol v1: NaCl's secretbox (XSalsa20 and Poly1305), byte for byte
   what crypto_secretbox_easy makes. It takes less time: libsodium makes the keystream in one piece, of a length that it
   is good at. */
#ifndef MLVPND_BOX_H
#define MLVPND_BOX_H

#include "wire/wire.h"

/* A nonce has WIRE_NONCE_SIZE bytes, a key WIRE_KEY_SIZE. */

/* Replaces the text by its ciphertext, and writes the MAC into the WIRE_MAC_SIZE bytes before. */
void box_seal(uint8_t *text, size_t size, const uint8_t *nonce, const uint8_t *key);

/* Whether the MAC before a ciphertext is right. If so, the text replaces the ciphertext; else nothing changes. */
bool box_open(uint8_t *text, size_t size, const uint8_t *nonce, const uint8_t *key);

/* The same, but the ciphertext stays. */
bool box_verify(const uint8_t *text, size_t size, const uint8_t *nonce, const uint8_t *key);

#endif
