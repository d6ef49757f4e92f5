#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "KeyHash.h"

/// Accepts most envelopes by a walk over the positions where their values begin, which are the result of simdjson's first stage. It
/// needs no document, which the second stage would build. It takes two thirds of the time, and writes nothing.
///
/// It never accepts a line that the parser refuses. It does not accept unusual lines (many keys in an object, a repeated hash,
/// exponents, long numbers, surrogates, deep nesting). The parser handles those, and finds the fault of a line.
class QuickScan {
public:
    /// A member of the outermost object: its key, the position of its value, and the position of the next token after the value.
    struct Member {
        std::string_view key;
        const char *value;
        const char *next;

        bool is(char begin) const { return *value == begin; }
        /// Returns the text between the quotes of a string, with its escapes unchanged.
        std::string_view text() const;
    };

    /// Walks over a line in which the first stage has found no broken string and no broken UTF-8. It may read bytes after the line.
    ///
    /// `take` receives each member of the outermost object, and returns whether it is acceptable.
    template <class Take>
    bool accepts(const char *line, size_t count, const uint32_t *starts, uint32_t start_count, Take &&take);

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

/// Returns whether the text is an integer of up to 18 digits, or a decimal number of up to 16 digits without an exponent.
inline bool is_simple_number(const char *at) {
    if (*at == '-') at++;
    const char *digits = at;
    while (is_digit(*at)) at++;
    if (at == digits || at - digits > 18 || (*digits == '0' && at - digits > 1)) return false;
    if (*at == '.') {
        const char *decimals = ++at;
        while (is_digit(*at)) at++;
        if (at == decimals || at - digits > 17) return false;
    }
    return ends_value(*at);
}

/// Returns whether every escape in the line is well-formed; surrogates count as malformed.
bool escapes_are_simple(const char *line, size_t count);

} // namespace quick_scan

inline std::string_view QuickScan::Member::text() const { return quick_scan::quoted(value, next); }

inline bool QuickScan::repeats(uint32_t first_key, uint32_t used, uint64_t hash) const {
    for (uint32_t i = first_key; i < used; i++)
        if (hashes[i] == hash) return true;
    return false;
}

// This is one function with a label for each part of the grammar: a call or a table for each of about a hundred steps would cost
// more than the steps themselves.
template <class Take>
bool QuickScan::accepts(const char *line, size_t count, const uint32_t *starts, uint32_t start_count, Take &&take) {
    using namespace quick_scan;
    bool has_escapes = std::string_view(line, count).find('\\') != std::string_view::npos;
    if (has_escapes && !escapes_are_simple(line, count)) return false;
    uint32_t at = 0, depth = 0, used = 0;
    // These three belong to the innermost container. They are separate variables, because a copy of the whole struct would wait for
    // the writes just before it.
    uint64_t seen = 0;
    uint32_t first_key = 0;
    bool is_object = true;
    // Returns the character at the next position; after the last one, a byte without a meaning.
    auto begin = [&] { return at < start_count ? line[starts[at]] : '\0'; };

    if (begin() != '{') return false;
    at++;

object:
    if (begin() == '}') {
        at++;
        goto closed;
    }

key: {
    if (begin() != '"' || at + 2 >= start_count) return false;
    const char *quote = line + starts[at], *colon = line + starts[at + 1], *value = line + starts[at + 2];
    at += 2;
    if (*colon != ':') return false;
    std::string_view name = quoted(quote, colon);
    if (!name.data() || (has_escapes && name.find('\\') != std::string_view::npos)) return false;
    uint64_t hash = key_hash(name);
    uint64_t bit = uint64_t(1) << (hash & 63);
    if (seen & bit && repeats(first_key, used, hash)) return false;
    if (used - first_key == most_keys_of_object || used == most_keys) return false;
    seen |= bit;
    hashes[used++] = hash;
    if (depth == 0 && (at + 1 >= start_count || !take(Member{name, value, line + starts[at + 1]}))) return false;
}

value: {
    const char *place = line + starts[at];
    char first = begin();
    at++;
    switch (first) {
    // The first stage has found the end of each string.
    case '"': break;
    case '{':
    case '[':
        if (depth == most_depth) return false;
        outer[depth].seen = seen;
        outer[depth].first_key = first_key;
        outer[depth].is_object = is_object;
        depth++;
        seen = 0;
        first_key = used;
        is_object = first == '{';
        if (is_object) goto object;
        if (begin() != ']') goto value;
        at++;
        goto closed;
    case 't':
        if (std::memcmp(place, "true", 4) || !ends_value(place[4])) return false;
        break;
    case 'f':
        if (std::memcmp(place, "false", 5) || !ends_value(place[5])) return false;
        break;
    case 'n':
        if (std::memcmp(place, "null", 4) || !ends_value(place[4])) return false;
        break;
    default:
        if (!is_simple_number(place)) return false;
    }
}

after_value: {
    char next = begin();
    at++;
    if (next == ',') {
        if (is_object) goto key;
        goto value;
    }
    if (next != (is_object ? '}' : ']')) return false;
}

closed:
    if (depth == 0) return at == start_count;
    depth--;
    used = first_key;
    seen = outer[depth].seen;
    first_key = outer[depth].first_key;
    is_object = outer[depth].is_object;
    goto after_value;
}
