#include "StringEnd.h"

#include <cstring>

#include <simdjson.h>

namespace quick_scan {

static bool is_hex(char c) { return uint8_t(c - '0') < 10 || uint8_t((c | 0x20) - 'a') < 6; }

/// Returns the end of an escape; null if it is malformed or a surrogate. It reads at most 6 bytes.
static const char *escape_end(const char *at) {
    char kind = at[1];
    if (kind == 'u') {
        for (int i = 2; i < 6; i++)
            if (!is_hex(at[i])) return nullptr;
        if ((at[2] | 0x20) == 'd' && at[3] >= '8') return nullptr;
        return at + 6;
    }
    return kind && std::strchr("\"\\/bfnrt", kind) ? at + 2 : nullptr;
}

const char *long_string_end(const char *at, const char *end) {
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
        return !has_high || simdjson::validate_utf8(begin, size_t(at - begin)) ? at : nullptr;
    }
    return nullptr;
}

const char *plain_long_string_end(const char *at, const char *end) {
    const char *quote = long_string_end(at, end);
    return quote && !std::memchr(at, '\\', size_t(quote - at)) ? quote : nullptr;
}

} // namespace quick_scan
