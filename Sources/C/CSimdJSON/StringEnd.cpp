#include "StringEnd.h"

#include <cstring>

#include <simdjson.h>

namespace quick_scan {

static bool is_hex(char c) { return uint8_t(c - '0') < 10 || uint8_t((c | 0x20) - 'a') < 6; }

static bool is_code_unit(const char *at) {
    if (at[0] != '\\' || at[1] != 'u') return false;
    for (int i = 2; i < 6; i++)
        if (!is_hex(at[i])) return false;
    return true;
}

/// Returns the end of an escape; null if it is malformed or an unpaired surrogate. It reads at most 12 bytes.
static const char *escape_end(const char *at) {
    char kind = at[1];
    if (kind != 'u') return kind && std::strchr("\"\\/bfnrt", kind) ? at + 2 : nullptr;
    if (!is_code_unit(at)) return nullptr;
    auto half = [](const char *unit) { return (unit[2] | 0x20) == 'd' ? unit[3] | 0x20 : 0; };
    int first = half(at);
    // The digits '8' to 'b' make the first half of a pair, and 'c' to 'f' the second. Setting the bit for lower case keeps digits.
    if (first == 0 || first < '8') return at + 6;
    if (first >= 'c' || !is_code_unit(at + 6) || half(at + 6) < 'c') return nullptr;
    return at + 12;
}

const char *long_string_end(const char *at, const char *end, HighPart &high) {
    const char *begin = at;
    bool has_high = false;
    while (at < end) {
        Look next = look(at);
        if (!next.special) {
            has_high |= next.high != 0;
            at += 16;
            continue;
        }
        int index = next.first_special();
        has_high |= next.has_high_before(index);
        at += index;
        if (at >= end) return nullptr;
        if (*at == '\\') {
            at = escape_end(at);
            if (!at) return nullptr;
            continue;
        }
        if (*at != '"') return nullptr;
        if (has_high) high.add(begin, at);
        return at;
    }
    return nullptr;
}

const char *plain_long_string_end(const char *at, const char *end, HighPart &high) {
    const char *quote = long_string_end(at, end, high);
    return quote && !std::memchr(at, '\\', size_t(quote - at)) ? quote : nullptr;
}

bool HighPart::is_utf8() const { return !begin || simdjson::validate_utf8(begin, size_t(end - begin)); }

} // namespace quick_scan
