#include "Verbatim.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "QuickScan.h"

namespace {

using quick_scan::is_digit;

/// Returns the length of the digits at the beginning of a text.
size_t digits(std::string_view text) {
    size_t count = 0;
    while (count < text.size() && is_digit(text[count])) count++;
    return count;
}

/// Returns the number at the beginning of a text if its form is that of a JSON number; empty for other texts.
std::string_view number(std::string_view text, bool &is_integer) {
    size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
    size_t whole = digits(text.substr(at));
    if (whole == 0 || (text[at] == '0' && whole > 1)) return {};
    at += whole;
    is_integer = true;
    if (at < text.size() && text[at] == '.') {
        size_t decimals = digits(text.substr(at + 1));
        if (decimals == 0) return {};
        at += 1 + decimals;
        is_integer = false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) at++;
        size_t exponent = digits(text.substr(at));
        if (exponent == 0) return {};
        at += exponent;
        is_integer = false;
    }
    if (at < text.size() && !quick_scan::ends_value(text[at])) return {};
    return text.substr(0, at);
}

bool is_out_of_range(std::string_view text, bool is_integer) {
    // Shorter texts are always within the range.
    if (is_integer && text.size() < 19) return false;
    std::string copy(text);
    errno = 0;
    if (!is_integer) return std::isinf(std::strtod(copy.c_str(), nullptr));
    if (text[0] == '-') std::strtoll(copy.c_str(), nullptr, 10);
    else std::strtoull(copy.c_str(), nullptr, 10);
    return errno == ERANGE;
}

/// Returns the code unit of a `\uXXXX` escape at the beginning of a text; -1 for other texts.
int code_unit(std::string_view text) {
    if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return -1;
    int value = 0;
    for (char c : text.substr(2, 4)) {
        int digit = is_digit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = 16 * value + digit;
    }
    return value;
}

bool is_high(int unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low(int unit) { return unit >= 0xDC00 && unit < 0xE000; }

/// Returns the text between a quote, which begins the text, and the closing quote.
std::string_view quoted(std::string_view text) {
    size_t at = 1;
    while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
    return text.substr(1, std::min(at, text.size()) - 1);
}

} // namespace

/// Appends a string's text to the copy, with U+FFFD for unpaired surrogates. Returns whether there was one.
bool Verbatim::append_string(std::string_view text) {
    bool is_changed = false;
    for (size_t at = 0; at < text.size();) {
        size_t next = text.find('\\', at);
        if (next == std::string_view::npos) next = text.size();
        rewritten.append(text.substr(at, next - at));
        at = next;
        if (at == text.size()) break;
        int unit = code_unit(text.substr(at));
        if (is_high(unit) && is_low(code_unit(text.substr(at + 6)))) {
            rewritten.append(text.substr(at, 12));
            at += 12;
        } else if (is_high(unit) || is_low(unit)) {
            rewritten.append("\\ufffd");
            at += 6;
            is_changed = true;
        } else {
            rewritten.append(text.substr(at, 2));
            at += std::min(size_t(2), text.size() - at);
        }
    }
    return is_changed;
}

bool Verbatim::rewrite(const char *bytes, size_t count, const uint32_t *starts, uint32_t start_count) {
    std::string_view document(bytes, count);
    rewritten.clear();
    found.clear();
    size_t done = 0, ordinal = 0;
    for (uint32_t i = 0; i < start_count && starts[i] < count; i++) {
        std::string_view rest = document.substr(starts[i]);
        char first = rest[0];
        if (std::memchr("{}[],:", first, 6)) continue;
        bool is_integer = false;
        if (first == '"') {
            std::string_view text = quoted(rest);
            size_t begin = starts[i] + 1;
            rewritten.append(document.substr(done, begin - done));
            if (append_string(text)) found.push_back({ordinal, text});
            done = begin + text.size();
        } else if (std::string_view text = number(rest, is_integer); !text.empty() && is_out_of_range(text, is_integer)) {
            rewritten.append(document.substr(done, starts[i] - done));
            rewritten.push_back('0');
            found.push_back({ordinal, text});
            done = starts[i] + text.size();
        }
        ordinal++;
    }
    rewritten.append(document.substr(done));
    return !found.empty();
}

void Verbatim::give_back_memory() {
    std::string().swap(rewritten);
    std::vector<Place>().swap(found);
}
