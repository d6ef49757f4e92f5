#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace quick_scan {

/// Tells for each of 16 bytes of a string, by one or more bits, whether the byte needs a look.
struct Look {
#if defined(__ARM_NEON) && defined(__aarch64__)
    static constexpr int bits_per_byte = 4;
#else
    static constexpr int bits_per_byte = 1;
#endif
    /// Quotes, backslashes and control characters.
    uint64_t special;
    /// Bytes outside ASCII.
    uint64_t high;

    int first_special() const { return __builtin_ctzll(special) / bits_per_byte; }
    bool has_high_before(int index) const { return high & ((uint64_t(1) << (index * bits_per_byte)) - 1); }
};

inline Look look(const char *at) {
#if defined(__SSE2__)
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
    const __m128i last_control = _mm_set1_epi8(0x1F);
    const __m128i special = _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes));
    return {uint32_t(_mm_movemask_epi8(special)), uint32_t(_mm_movemask_epi8(bytes))};
#elif defined(__ARM_NEON) && defined(__aarch64__)
    const uint8x16_t bytes = vld1q_u8(reinterpret_cast<const uint8_t *>(at));
    const uint8x16_t special = vorrq_u8(
        vorrq_u8(vceqq_u8(bytes, vdupq_n_u8('"')), vceqq_u8(bytes, vdupq_n_u8('\\'))), vcltq_u8(bytes, vdupq_n_u8(0x20)));
    // There is no instruction that makes a mask: a narrowing shift keeps four bits of each byte.
    auto mask = [](uint8x16_t lanes) {
        return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(lanes), 4)), 0);
    };
    return {mask(special), mask(vcgeq_u8(bytes, vdupq_n_u8(0x80)))};
#else
    Look result{0, 0};
    for (int i = 0; i < 16; i++) {
        uint8_t byte = uint8_t(at[i]);
        result.special |= uint64_t(byte < 0x20 || byte == '"' || byte == '\\') << i;
        result.high |= uint64_t(byte >> 7) << i;
    }
    return result;
#endif
}

/// The part of a line that has bytes outside ASCII, and has to be checked for UTF-8: from the first string with such bytes to the last.
struct HighPart {
    const char *begin = nullptr;
    const char *end = nullptr;

    void add(const char *from, const char *to) {
        if (!begin) begin = from;
        end = to;
    }
    bool is_utf8() const;
};

/// Returns the closing quote of a string whose text begins at `at`; null if its text has a control character, a malformed escape or an
/// unpaired surrogate, or if it does not end before `end`. A text with bytes outside ASCII is added to `high`. It reads fewer than 64 bytes
/// after `end`.
const char *long_string_end(const char *at, const char *end, HighPart &high);

/// Does the same as `long_string_end`, but returns null for a string with an escape.
const char *plain_long_string_end(const char *at, const char *end, HighPart &high);

/// Returns the closing quote of a string of fewer than 16 ASCII characters without escapes; null for others. It does not look for the end
/// of the line.
inline const char *short_string_end(const char *at) {
    Look first = look(at);
    if (!first.special) return nullptr;
    int index = first.first_special();
    return at[index] == '"' && !first.has_high_before(index) ? at + index : nullptr;
}

/// Does the same as `long_string_end`, without a call for most short strings.
inline const char *string_end(const char *at, const char *end, HighPart &high) {
    const char *quote = short_string_end(at);
    return quote ? (quote < end ? quote : nullptr) : long_string_end(at, end, high);
}

/// Does the same as `plain_long_string_end`, without a call for most short strings.
inline const char *plain_string_end(const char *at, const char *end, HighPart &high) {
    const char *quote = short_string_end(at);
    return quote ? (quote < end ? quote : nullptr) : plain_long_string_end(at, end, high);
}

} // namespace quick_scan
