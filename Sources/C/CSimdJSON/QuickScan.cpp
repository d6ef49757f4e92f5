#include "QuickScan.h"

namespace quick_scan {

static bool is_hex(char c) { return is_digit(c) || uint8_t((c | 0x20) - 'a') < 6; }

bool escapes_are_simple(const char *line, size_t count) {
    const char *end = line + count;
    for (const char *at = line; (at = static_cast<const char *>(std::memchr(at, '\\', end - at)));) {
        if (end - at < 2) return false;
        char kind = at[1];
        at += 2;
        if (kind == 'u') {
            if (end - at < 4) return false;
            if (!is_hex(at[0]) || !is_hex(at[1]) || !is_hex(at[2]) || !is_hex(at[3])) return false;
            if ((at[0] == 'd' || at[0] == 'D') && at[1] >= '8') return false;
            at += 4;
        } else if (!std::memchr("\"\\/bfnrt", kind, 8)) {
            return false;
        }
    }
    return true;
}

} // namespace quick_scan
