#pragma once
#include "CAES.h"

#if defined(__x86_64__)
#define TGP_AES_X86 1
void tgp_aes_ige_encrypt_x86(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
void tgp_aes_ige_decrypt_x86(const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count);
#endif
