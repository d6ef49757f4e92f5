#pragma once
#include <stddef.h>
#include <stdint.h>

/// AES-256 in the mode IGE, as MTProto has it.
///
/// `iv` is the ciphertext block before the first (16 bytes), then the plaintext block before it; afterwards those of the last
/// block, so that a long text can be worked on in pieces. `count` is a multiple of 16. `from` and `to` may be the same, and
/// need no alignment; they must not overlap otherwise.
void tgp_aes_ige_encrypt(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
void tgp_aes_ige_decrypt(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);

/// The same over libcrypto, for processors without instructions for AES.
void tgp_aes_ige_encrypt_portable(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
void tgp_aes_ige_decrypt_portable(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);

/// Whether this processor has instructions for AES that the first two use.
int tgp_aes_is_accelerated(void);
