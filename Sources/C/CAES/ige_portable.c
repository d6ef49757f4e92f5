#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "ige.h"

#define BLOCK 16
#define PIECE 4096

static EVP_CIPHER_CTX *start(const EVP_CIPHER *cipher, const uint8_t key[32], const uint8_t *iv, int encrypts) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    // Without memory for a cipher the program must end; otherwise plaintext would be sent in place of ciphertext.
    if (!context || EVP_CipherInit_ex(context, cipher, NULL, key, iv, encrypts) != 1) abort();
    EVP_CIPHER_CTX_set_padding(context, 0);
    return context;
}

static void transform(EVP_CIPHER_CTX *context, uint8_t *bytes, size_t count) {
    int written = 0;
    if (EVP_CipherUpdate(context, bytes, &written, bytes, (int)count) != 1 || written != (int)count) abort();
}

static inline void add(uint8_t *to, const uint8_t *bytes) {
    uint64_t a[2], b[2];
    memcpy(a, to, BLOCK);
    memcpy(b, bytes, BLOCK);
    a[0] ^= b[0];
    a[1] ^= b[1];
    memcpy(to, a, BLOCK);
}

// CBC over x[i] ^ x[i-2] gives y[i] ^ x[i-1], so libcrypto's fast CBC code can do the work.
void tgp_aes_ige_encrypt_portable(
    const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count) {
    EVP_CIPHER_CTX *context = start(EVP_aes_256_cbc(), key, iv, 1);
    uint8_t plain[2 * BLOCK + PIECE], chained[PIECE];
    memset(plain, 0, BLOCK);
    memcpy(plain + BLOCK, iv + BLOCK, BLOCK);
    // The first block has no x[-1]: CBC's initialization vector holds everything to be added.
    int has_two_before = 0;
    for (size_t done = 0; done < count;) {
        size_t size = count - done < PIECE ? count - done : PIECE;
        memcpy(plain + 2 * BLOCK, from + done, size);
        memcpy(chained, plain + 2 * BLOCK, size);
        for (size_t at = has_two_before ? 0 : BLOCK; at < size; at += BLOCK) add(chained + at, plain + at);
        transform(context, chained, size);
        for (size_t at = 0; at < size; at += BLOCK) add(chained + at, plain + BLOCK + at);
        memcpy(to + done, chained, size);
        memcpy(iv, chained + size - BLOCK, BLOCK);
        memmove(plain, plain + size, 2 * BLOCK);
        has_two_before = 1;
        done += size;
    }
    memcpy(iv + BLOCK, plain + BLOCK, BLOCK);
    OPENSSL_cleanse(plain, sizeof plain);
    EVP_CIPHER_CTX_free(context);
}

// No mode of libcrypto chains on the output of the inverse cipher, so this works block by block.
void tgp_aes_ige_decrypt_portable(
    const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count) {
    EVP_CIPHER_CTX *context = start(EVP_aes_256_ecb(), key, NULL, 0);
    for (size_t at = 0; at + BLOCK <= count; at += BLOCK) {
        uint8_t cipher[BLOCK];
        memcpy(cipher, from + at, BLOCK);
        add(iv + BLOCK, cipher);
        transform(context, iv + BLOCK, BLOCK);
        add(iv + BLOCK, iv);
        memcpy(iv, cipher, BLOCK);
        memcpy(to + at, iv + BLOCK, BLOCK);
    }
    EVP_CIPHER_CTX_free(context);
}

void tgp_aes_hash(const uint8_t prefix[32], const uint8_t *bytes, size_t count, uint8_t digest[32]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    // Without memory for a hash the program must end; otherwise it would trust a message that it has not checked.
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 || EVP_DigestUpdate(context, prefix, 32) != 1
        || EVP_DigestUpdate(context, bytes, count) != 1 || EVP_DigestFinal_ex(context, digest, NULL) != 1)
        abort();
    EVP_MD_CTX_free(context);
}

void tgp_aes_ige_open_portable(
    const uint8_t key[32], const uint8_t iv[32], const uint8_t prefix[32], const uint8_t *from, uint8_t *to, size_t count,
    uint8_t digest[32]) {
    uint8_t chained[2 * BLOCK];
    memcpy(chained, iv, sizeof chained);
    tgp_aes_ige_decrypt_portable(key, chained, from, to, count);
    tgp_aes_hash(prefix, to, count, digest);
}
