#include "ige.h"

#ifdef TGP_AES_X86
#include <immintrin.h>

#define ROUNDS 14
#define WITH_AES __attribute__((target("aes,sse4.1")))

// The key expansion of FIPS 197 for 256 bits: each new word is the sum of the words before it in its half and one mixed word.
static inline WITH_AES __m128i spread(__m128i half, __m128i mixed) {
    half = _mm_xor_si128(half, _mm_slli_si128(half, 4));
    half = _mm_xor_si128(half, _mm_slli_si128(half, 8));
    return _mm_xor_si128(half, mixed);
}

#define EVEN(i, constant)                                                                                               \
    low = spread(low, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(high, constant), 0xFF));                              \
    keys[i] = low
#define ODD(i)                                                                                                          \
    high = spread(high, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(low, 0), 0xAA));                                    \
    keys[i] = high

static WITH_AES void expand(const uint8_t key[32], __m128i keys[ROUNDS + 1]) {
    __m128i low = _mm_loadu_si128((const __m128i *)key), high = _mm_loadu_si128((const __m128i *)(key + 16));
    keys[0] = low;
    keys[1] = high;
    EVEN(2, 0x01);
    ODD(3);
    EVEN(4, 0x02);
    ODD(5);
    EVEN(6, 0x04);
    ODD(7);
    EVEN(8, 0x08);
    ODD(9);
    EVEN(10, 0x10);
    ODD(11);
    EVEN(12, 0x20);
    ODD(13);
    EVEN(14, 0x40);
}

// Both directions are one serial chain: out[i] = C(in[i] ^ out[i-1]) ^ in[i-1]. Only the rounds of the cipher need to be on
// it. The last round adds its key to the output. The other addends (in[i-1], and for the next block in[i+1] and the first
// round's key) are known earlier, so they are added to that key beforehand.
#define CHAIN(name, round, last)                                                                                        \
    static WITH_AES void name(                                                                                          \
        const __m128i keys[ROUNDS + 1], __m128i before_out, __m128i before_in, const uint8_t *from, uint8_t *to,        \
        size_t blocks, __m128i *last_out, __m128i *last_in) {                                                           \
        const __m128i first_key = keys[0];                                                                              \
        __m128i in = _mm_loadu_si128((const __m128i *)from);                                                            \
        __m128i whitened = _mm_xor_si128(in, first_key);                                                                \
        __m128i state = _mm_xor_si128(whitened, before_out);                                                            \
        for (size_t i = 0; i < blocks; i++) {                                                                           \
            const __m128i end = _mm_xor_si128(keys[ROUNDS], before_in);                                                 \
            __m128i next = in, next_whitened = first_key;                                                               \
            if (i + 1 < blocks) {                                                                                       \
                next = _mm_loadu_si128((const __m128i *)(from + 16 * (i + 1)));                                         \
                next_whitened = _mm_xor_si128(next, first_key);                                                         \
            }                                                                                                           \
            const __m128i folded = _mm_xor_si128(end, next_whitened);                                                   \
            for (int r = 1; r < ROUNDS; r++) state = round(state, keys[r]);                                             \
            state = last(state, folded);                                                                                \
            before_out = _mm_xor_si128(state, next_whitened);                                                           \
            _mm_storeu_si128((__m128i *)(to + 16 * i), before_out);                                                     \
            before_in = in;                                                                                             \
            in = next;                                                                                                  \
        }                                                                                                               \
        *last_out = before_out;                                                                                         \
        *last_in = before_in;                                                                                           \
    }

CHAIN(encrypt_chain, _mm_aesenc_si128, _mm_aesenclast_si128)
CHAIN(decrypt_chain, _mm_aesdec_si128, _mm_aesdeclast_si128)

static inline WITH_AES void wipe(__m128i keys[ROUNDS + 1]) {
    for (int i = 0; i <= ROUNDS; i++) ((volatile __m128i *)keys)[i] = _mm_setzero_si128();
}

WITH_AES void tgp_aes_ige_encrypt_x86(
    const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count) {
    if (count < 16) return;
    __m128i keys[ROUNDS + 1], cipher, plain;
    expand(key, keys);
    encrypt_chain(
        keys, _mm_loadu_si128((const __m128i *)iv), _mm_loadu_si128((const __m128i *)(iv + 16)), from, to, count / 16,
        &cipher, &plain);
    _mm_storeu_si128((__m128i *)iv, cipher);
    _mm_storeu_si128((__m128i *)(iv + 16), plain);
    wipe(keys);
}

WITH_AES void tgp_aes_ige_decrypt_x86(
    const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count) {
    if (count < 16) return;
    __m128i forward[ROUNDS + 1], keys[ROUNDS + 1], cipher, plain;
    expand(key, forward);
    keys[0] = forward[ROUNDS];
    for (int i = 1; i < ROUNDS; i++) keys[i] = _mm_aesimc_si128(forward[ROUNDS - i]);
    keys[ROUNDS] = forward[0];
    decrypt_chain(
        keys, _mm_loadu_si128((const __m128i *)(iv + 16)), _mm_loadu_si128((const __m128i *)iv), from, to, count / 16,
        &plain, &cipher);
    _mm_storeu_si128((__m128i *)iv, cipher);
    _mm_storeu_si128((__m128i *)(iv + 16), plain);
    wipe(forward);
    wipe(keys);
}
#endif
