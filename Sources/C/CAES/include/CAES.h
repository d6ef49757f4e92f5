#pragma once
#include <stddef.h>
#include <stdint.h>

/// Encrypts and decrypts with AES-256 in the mode IGE, as MTProto defines it.
///
/// `iv` holds the ciphertext block before the first block (16 bytes), then the plaintext block before it. The functions replace
/// them by the last blocks, so that a long text can be processed in pieces. `count` is a multiple of 16. `from` and `to` may be
/// the same, and need no alignment; they must not overlap otherwise.
void tgp_aes_ige_encrypt(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
void tgp_aes_ige_decrypt(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);

/// Decrypts a message, and computes the SHA-256 of the 32 bytes `prefix` and the decrypted bytes. With instructions for both, this
/// takes no longer than decryption. `count` is a multiple of 16, and at least 32; `iv` remains as it is.
void tgp_aes_ige_open(
    const uint8_t key[32], const uint8_t iv[32], const uint8_t prefix[32], const uint8_t *from, uint8_t *to, size_t count,
    uint8_t digest[32]);

/// Do the same with libcrypto, for processors without AES instructions.
void tgp_aes_ige_encrypt_portable(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
void tgp_aes_ige_decrypt_portable(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
void tgp_aes_ige_open_portable(
    const uint8_t key[32], const uint8_t iv[32], const uint8_t prefix[32], const uint8_t *from, uint8_t *to, size_t count,
    uint8_t digest[32]);

/// Returns whether this processor has the AES instructions that the functions for encryption and decryption use.
int tgp_aes_is_accelerated(void);
