#pragma once
#include "CAES.h"

#if defined(__x86_64__)
#define TGP_AES_X86 1
void tgp_aes_ige_encrypt_x86(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
void tgp_aes_ige_decrypt_x86(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
/// Needs the instructions for SHA too; `count` is at least 32.
void tgp_aes_ige_open_x86(
    const uint8_t key[32], const uint8_t iv[32], const uint8_t prefix[32], const uint8_t *from, uint8_t *to, size_t count,
    uint8_t digest[32]);
int tgp_sha_is_accelerated(void);
#endif

/// Computes the SHA-256 of `prefix` and `count` bytes with libcrypto.
void tgp_aes_hash(const uint8_t prefix[32], const uint8_t *bytes, size_t count, uint8_t digest[32]);
