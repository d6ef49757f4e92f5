#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "KeyHash.h"
#include "StringEnd.h"

/// Accepts most envelopes by one walk over their bytes, which needs neither the positions of the tokens (simdjson's first stage) nor a
/// document (its second stage), and writes nothing.
///
/// It never accepts a line that the parser refuses. It does not accept unusual lines (many keys in an object, a repeated hash,
/// exponents, long numbers, deep nesting). The parser handles those, and finds the fault of a line.
class QuickScan {
public:
    /// A member of the outermost object: its key, the position of its value, and the text of a value that is a scalar.
    struct Member {
        std::string_view key;
        const char *value;
        /// The text without the quotes of a string, with its escapes unchanged.
        std::string_view text;

        bool is(char begin) const { return *value == begin; }
    };

    /// A value that is neither an object nor an array. A word is `true`, `false` or `null`.
    enum class Scalar : uint8_t { string, number, word };

    /// The number of bytes after a line that a walk may read.
    static constexpr size_t most_read_after = 64;

    /// Walks over a line. It may read bytes after the line.
    ///
    /// `take` receives each member of the outermost object, and returns whether it is acceptable. `note` receives each scalar: its kind,
    /// the key of the outermost object that it belongs to directly (no data for others), and its beginning and end, without the quotes of
    /// a string.
    template <class Take, class Note>
    bool accepts(const char *line, size_t count, Take &&take, Note &&note);

private:
    static constexpr uint32_t most_depth = 64;
    static constexpr uint32_t most_keys_of_object = 64;
    static constexpr uint32_t most_keys = 1024;

    /// An object or array that contains the current position. For an object, `first_key` is the index in `hashes` of its first
    /// key, and `seen` has a bit for the hash of each key.
    struct Container {
        uint64_t seen;
        uint32_t first_key;
        bool is_object;
    };

    uint64_t hashes[most_keys];
    Container outer[most_depth];

    bool repeats(uint32_t first_key, uint32_t used, uint64_t hash) const;
};

namespace quick_scan {

/// Returns whether a character is white space. The first comparison decides for most characters.
inline bool is_space(char c) { return uint8_t(c) <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n'); }

/// Returns whether a character may follow a number or a literal.
inline bool ends_value(char c) { return c == ',' || c == '}' || c == ']' || is_space(c); }

/// Returns the text between a quote and the closing quote that is the last token before `next`; no data if there is none.
inline std::string_view quoted(const char *quote, const char *next) {
    const char *end = next - 1;
    while (is_space(*end)) end--;
    if (end <= quote || *end != '"') return {};
    return {quote + 1, size_t(end - quote - 1)};
}

inline bool is_digit(char c) { return uint8_t(c - '0') < 10; }

/// Returns the end of `true`, `false` or `null`; null for other text. It reads at most 6 bytes.
inline const char *word_end(const char *at) {
    if (*at == 't' && !std::memcmp(at, "true", 4)) at += 4;
    else if (*at == 'f' && !std::memcmp(at, "false", 5)) at += 5;
    else if (*at == 'n' && !std::memcmp(at, "null", 4)) at += 4;
    else return nullptr;
    return ends_value(*at) ? at : nullptr;
}

/// Returns the end of an integer of up to 18 digits, or of a decimal number of up to 16 digits without an exponent; null for other
/// text. It reads at most 21 bytes.
inline const char *simple_number_end(const char *at) {
    if (*at == '-') at++;
    const char *digits = at;
    while (is_digit(*at))
        if (++at - digits > 18) return nullptr;
    if (at == digits || (*digits == '0' && at - digits > 1)) return nullptr;
    if (*at == '.') {
        const char *decimals = ++at;
        while (is_digit(*at))
            if (++at - digits > 17) return nullptr;
        if (at == decimals) return nullptr;
    }
    return ends_value(*at) ? at : nullptr;
}

} // namespace quick_scan

inline bool QuickScan::repeats(uint32_t first_key, uint32_t used, uint64_t hash) const {
    for (uint32_t i = first_key; i < used; i++)
        if (hashes[i] == hash) return true;
    return false;
}

// This is one function with a label for each part of the grammar: a call or a table for each of about a hundred steps would cost
// more than the steps themselves.
//
// `at` never leaves the line by more than one token, of which no step reads more than `most_read_after` bytes.
template <class Take, class Note>
bool QuickScan::accepts(const char *line, size_t count, Take &&take, Note &&note) {
    using namespace quick_scan;
    const char *at = line, *const end = line + count;
    uint32_t depth = 0, used = 0;
    // These three belong to the innermost container. They are separate variables, because a copy of the whole struct would wait for
    // the writes just before it.
    uint64_t seen = 0;
    uint32_t first_key = 0;
    bool is_object = true;
    Member member{};
    HighPart high;
    auto skip_space = [&] {
        while (is_space(*at) && at < end) at++;
    };

    skip_space();
    if (at >= end || *at != '{') return false;

object:
    at++;
    skip_space();
    if (*at == '}') goto closed;

key: {
    if (at >= end || *at != '"') return false;
    const char *name = at + 1;
    at = plain_string_end(name, end, high);
    if (!at) return false;
    member.key = {name, size_t(at - name)};
    uint64_t hash = key_hash(member.key);
    uint64_t bit = uint64_t(1) << (hash & 63);
    if (seen & bit && repeats(first_key, used, hash)) return false;
    if (used - first_key == most_keys_of_object || used == most_keys) return false;
    seen |= bit;
    hashes[used++] = hash;
    at++;
    skip_space();
    if (*at != ':') return false;
    at++;
    skip_space();
}

value: {
    if (at >= end) return false;
    const char *place = at;
    Scalar kind;
    switch (*at) {
    case '"':
        at = string_end(place + 1, end, high);
        if (!at) return false;
        kind = Scalar::string;
        break;
    case '{':
    case '[':
        if (depth == most_depth) return false;
        if (depth == 0) {
            member.value = place;
            if (!take(member)) return false;
        }
        outer[depth].seen = seen;
        outer[depth].first_key = first_key;
        outer[depth].is_object = is_object;
        depth++;
        seen = 0;
        first_key = used;
        is_object = *place == '{';
        if (is_object) goto object;
        at++;
        skip_space();
        if (*at != ']') goto value;
        goto closed;
    case 't':
    case 'f':
    case 'n':
        at = word_end(place);
        if (!at) return false;
        kind = Scalar::word;
        break;
    default:
        at = simple_number_end(place);
        if (!at) return false;
        kind = Scalar::number;
    }
    const char *begin = place + (kind == Scalar::string);
    if (depth == 0) {
        member.value = place;
        member.text = {begin, size_t(at - begin)};
        if (!take(member)) return false;
    }
    note(kind, depth == 0 ? member.key : std::string_view(), begin, at);
    at += kind == Scalar::string;
}

after_value:
    skip_space();
    if (at >= end) return false;
    if (*at == ',') {
        at++;
        skip_space();
        if (is_object) goto key;
        goto value;
    }
    if (*at != (is_object ? '}' : ']')) return false;

closed:
    if (at >= end) return false;
    at++;
    if (depth == 0) {
        skip_space();
        return at == end && high.is_utf8();
    }
    depth--;
    used = first_key;
    seen = outer[depth].seen;
    first_key = outer[depth].first_key;
    is_object = outer[depth].is_object;
    goto after_value;
}
