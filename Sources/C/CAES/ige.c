#include "ige.h"

#include <string.h>

int tgp_aes_is_accelerated(void) {
#ifdef TGP_AES_X86
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
#else
    return 0;
#endif
}

void tgp_aes_ige_encrypt(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count) {
#ifdef TGP_AES_X86
    if (tgp_aes_is_accelerated()) {
        tgp_aes_ige_encrypt_x86(key, iv, from, to, count);
        return;
    }
#endif
    tgp_aes_ige_encrypt_portable(key, iv, from, to, count);
}

void tgp_aes_ige_decrypt(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count) {
#ifdef TGP_AES_X86
    if (tgp_aes_is_accelerated()) {
        tgp_aes_ige_decrypt_x86(key, iv, from, to, count);
        return;
    }
#endif
    tgp_aes_ige_decrypt_portable(key, iv, from, to, count);
}

void tgp_aes_ige_open(
    const uint8_t key[32], const uint8_t iv[32], const uint8_t prefix[32], const uint8_t *from, uint8_t *to, size_t count,
    uint8_t digest[32]) {
#ifdef TGP_AES_X86
    if (tgp_aes_is_accelerated() && tgp_sha_is_accelerated()) {
        tgp_aes_ige_open_x86(key, iv, prefix, from, to, count, digest);
        return;
    }
#endif
    uint8_t chained[32];
    memcpy(chained, iv, sizeof chained);
    tgp_aes_ige_decrypt(key, chained, from, to, count);
    tgp_aes_hash(prefix, to, count, digest);
}
