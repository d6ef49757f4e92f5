#include "ige.h"

#ifdef TGP_AES_X86
#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <string.h>

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

static WITH_AES void expand_inverse(const uint8_t key[32], __m128i keys[ROUNDS + 1]) {
    __m128i forward[ROUNDS + 1];
    expand(key, forward);
    keys[0] = forward[ROUNDS];
    for (int i = 1; i < ROUNDS; i++) keys[i] = _mm_aesimc_si128(forward[ROUNDS - i]);
    keys[ROUNDS] = forward[0];
    wipe(forward);
}

WITH_AES void tgp_aes_ige_decrypt_x86(
    const uint8_t key[32], uint8_t iv[32], const uint8_t *from, uint8_t *to, size_t count) {
    if (count < 16) return;
    __m128i keys[ROUNDS + 1], cipher, plain;
    expand_inverse(key, keys);
    decrypt_chain(
        keys, _mm_loadu_si128((const __m128i *)(iv + 16)), _mm_loadu_si128((const __m128i *)iv), from, to, count / 16,
        &plain, &cipher);
    _mm_storeu_si128((__m128i *)iv, cipher);
    _mm_storeu_si128((__m128i *)(iv + 16), plain);
    wipe(keys);
}

// Decryption waits for one AES round after the other, and leaves most of the processor idle. The instructions for SHA-256 fit into
// that time: the loop decrypts four blocks while it hashes the four before them, and takes no longer than decryption alone.
#define WITH_SHA __attribute__((target("aes,sse4.1,sha")))
#define HASHED 64

int tgp_sha_is_accelerated(void) {
    static atomic_int known;
    int is = atomic_load_explicit(&known, memory_order_relaxed);
    if (!is) {
        unsigned a, b, c, d;
        // The instruction `cpuid` is slow in a virtual machine, so its answer is kept: 1 for no, 2 for yes.
        is = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 29 & 1 ? 2 : 1;
        atomic_store_explicit(&known, is, memory_order_relaxed);
    }
    return is == 2;
}

static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

// The eight words a to h of SHA-256 (FIPS 180-4), in the order that the instructions use, and the last 16 words of the schedule.
struct hash {
    __m128i abef, cdgh, words[4];
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE WITH_SHA void four_rounds(struct hash *hash, const uint8_t *bytes, int group) {
    __m128i *words = hash->words, *own = &words[group & 3];
    if (group < 4) {
        const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
        *own = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(bytes + 16 * group)), big_endian);
    } else {
        const __m128i before = words[(group + 3) & 3];
        const __m128i sum = _mm_add_epi32(
            _mm_sha256msg1_epu32(*own, words[(group + 1) & 3]), _mm_alignr_epi8(before, words[(group + 2) & 3], 4));
        *own = _mm_sha256msg2_epu32(sum, before);
    }
    const __m128i added = _mm_add_epi32(*own, _mm_load_si128((const __m128i *)&round_constants[4 * group]));
    hash->cdgh = _mm_sha256rnds2_epu32(hash->cdgh, hash->abef, added);
    hash->abef = _mm_sha256rnds2_epu32(hash->abef, hash->cdgh, _mm_shuffle_epi32(added, 0x0e));
}

static WITH_SHA void hash_block(struct hash *hash, const uint8_t *bytes) {
    const __m128i abef = hash->abef, cdgh = hash->cdgh;
#pragma clang loop unroll(full)
    for (int group = 0; group < 16; group++) four_rounds(hash, bytes, group);
    hash->abef = _mm_add_epi32(hash->abef, abef);
    hash->cdgh = _mm_add_epi32(hash->cdgh, cdgh);
}

// Decryption between two blocks; see CHAIN.
struct chain {
    const __m128i *keys;
    __m128i state, in, before_in;
    const uint8_t *from, *end;
    uint8_t *to;
};

ALWAYS_INLINE WITH_SHA __m128i start_block(const struct chain *chain, __m128i *next, __m128i *next_whitened) {
    const __m128i end = _mm_xor_si128(chain->keys[ROUNDS], chain->before_in);
    *next = chain->in;
    *next_whitened = chain->keys[0];
    if (chain->from + 16 < chain->end) {
        *next = _mm_loadu_si128((const __m128i *)(chain->from + 16));
        *next_whitened = _mm_xor_si128(*next, *next_whitened);
    }
    return _mm_xor_si128(end, *next_whitened);
}

ALWAYS_INLINE WITH_SHA void rounds(struct chain *chain, int first, int last) {
#pragma clang loop unroll(full)
    for (int r = first; r <= last; r++) chain->state = _mm_aesdec_si128(chain->state, chain->keys[r]);
}

ALWAYS_INLINE WITH_SHA void end_block(struct chain *chain, __m128i folded, __m128i next, __m128i next_whitened) {
    chain->state = _mm_aesdeclast_si128(chain->state, folded);
    _mm_storeu_si128((__m128i *)chain->to, _mm_xor_si128(chain->state, next_whitened));
    chain->before_in = chain->in;
    chain->in = next;
    chain->from += 16;
    chain->to += 16;
}

static WITH_SHA void decrypt_blocks(struct chain *chain, size_t blocks) {
    for (size_t i = 0; i < blocks; i++) {
        __m128i next, next_whitened;
        const __m128i folded = start_block(chain, &next, &next_whitened);
        rounds(chain, 1, ROUNDS - 1);
        end_block(chain, folded, next, next_whitened);
    }
}

static WITH_SHA void decrypt_and_hash(struct chain *chain, struct hash *hash, const uint8_t *bytes) {
    const __m128i abef = hash->abef, cdgh = hash->cdgh;
#pragma clang loop unroll(full)
    for (int block = 0; block < 4; block++) {
        __m128i next, next_whitened;
        const __m128i folded = start_block(chain, &next, &next_whitened);
        rounds(chain, 1, 3);
        four_rounds(hash, bytes, 4 * block);
        rounds(chain, 4, 6);
        four_rounds(hash, bytes, 4 * block + 1);
        rounds(chain, 7, 9);
        four_rounds(hash, bytes, 4 * block + 2);
        rounds(chain, 10, ROUNDS - 1);
        four_rounds(hash, bytes, 4 * block + 3);
        end_block(chain, folded, next, next_whitened);
    }
    hash->abef = _mm_add_epi32(hash->abef, abef);
    hash->cdgh = _mm_add_epi32(hash->cdgh, cdgh);
}

WITH_SHA void tgp_aes_ige_open_x86(
    const uint8_t key[32], const uint8_t iv[32], const uint8_t prefix[32], const uint8_t *from, uint8_t *to, size_t count,
    uint8_t digest[32]) {
    __m128i keys[ROUNDS + 1];
    expand_inverse(key, keys);
    const __m128i first = _mm_loadu_si128((const __m128i *)from);
    struct chain chain = {
        .keys = keys,
        .state = _mm_xor_si128(_mm_xor_si128(first, keys[0]), _mm_loadu_si128((const __m128i *)(iv + 16))),
        .in = first,
        .before_in = _mm_loadu_si128((const __m128i *)iv),
        .from = from,
        .end = from + count,
        .to = to,
    };
    struct hash hash = {
        .abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c),
        .cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19),
    };
    // The prefix fills the first half of the first block to be hashed.
    uint8_t edge[HASHED];
    decrypt_blocks(&chain, 2);
    memcpy(edge, prefix, 32);
    memcpy(edge + 32, to, 32);
    const uint8_t *unhashed = edge;
    size_t rest = count - 32;
    for (; rest >= HASHED; rest -= HASHED) {
        uint8_t *decrypted = chain.to;
        decrypt_and_hash(&chain, &hash, unhashed);
        unhashed = decrypted;
    }
    hash_block(&hash, unhashed);
    const uint8_t *last = chain.to;
    decrypt_blocks(&chain, rest / 16);
    // Fewer than 56 bytes remain, so that the end mark and the length, in bits, fit behind them.
    memset(edge, 0, sizeof edge);
    memcpy(edge, last, rest);
    edge[rest] = 0x80;
    const uint64_t bits = __builtin_bswap64((32 + (uint64_t)count) * 8);
    memcpy(edge + HASHED - 8, &bits, 8);
    hash_block(&hash, edge);
    const __m128i abef = hash.abef, cdgh = hash.cdgh;
    const __m128i reversed = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    _mm_storeu_si128((__m128i *)digest, _mm_shuffle_epi8(_mm_unpackhi_epi64(cdgh, abef), reversed));
    _mm_storeu_si128((__m128i *)(digest + 16), _mm_shuffle_epi8(_mm_unpacklo_epi64(cdgh, abef), reversed));
    wipe(keys);
    for (size_t i = 0; i < sizeof edge; i++) ((volatile uint8_t *)edge)[i] = 0;
}
#endif
