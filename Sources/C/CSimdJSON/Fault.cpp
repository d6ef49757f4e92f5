#include "Fault.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_continuation(char c) { return (uint8_t(c) & 0xC0) == 0x80; }

/// Walks through a text until the first fault. Nothing recurses, so that a deeply nested text takes no stack.
class Walk {
public:
    explicit Walk(std::string_view text) : text(text) {}

    std::string fault() {
        enum class Wanted { value, value_or_end, key, key_or_end, separator } wanted = Wanted::value;
        while (true) {
            skip_blanks();
            if (wanted == Wanted::separator && open.empty()) return at_end() ? "" : expected("the end of the value");
            bool in_object = !open.empty() && open.back() == '{';
            char c = at_end() ? '\0' : text[position];
            switch (wanted) {
            case Wanted::separator:
                if (c == (in_object ? '}' : ']')) {
                    close();
                } else if (c == ',') {
                    position++;
                    wanted = in_object ? Wanted::key : Wanted::value;
                } else {
                    return expected(in_object ? "',' or '}'" : "',' or ']'");
                }
                continue;
            case Wanted::key:
            case Wanted::key_or_end:
                if (c == '}' && wanted == Wanted::key_or_end) {
                    close();
                    wanted = Wanted::separator;
                    continue;
                }
                if (c != '"') {
                    return expected(wanted == Wanted::key ? "a key in double quotes" : "a key in double quotes, or '}'");
                }
                if (!string()) return reason;
                skip_blanks();
                if (at_end() || text[position] != ':') return expected("':' after the key");
                position++;
                wanted = Wanted::value;
                continue;
            case Wanted::value:
            case Wanted::value_or_end:
                if (c == ']' && wanted == Wanted::value_or_end) {
                    close();
                    wanted = Wanted::separator;
                    continue;
                }
                if (c == '{' || c == '[') {
                    open.push_back(c);
                    position++;
                    wanted = c == '{' ? Wanted::key_or_end : Wanted::value_or_end;
                    continue;
                }
                if (!scalar(wanted == Wanted::value ? "a value" : "a value, or ']'")) return reason;
                wanted = Wanted::separator;
            }
        }
    }

private:
    std::string_view text;
    size_t position = 0;
    std::vector<char> open;
    std::string reason;

    bool at_end() const { return position >= text.size(); }
    void skip_blanks() { while (!at_end() && is_blank(text[position])) position++; }

    void close() {
        open.pop_back();
        position++;
    }

    /// Returns a place as people count: from 1, in characters, with the line if there are several.
    std::string place(size_t offset) const {
        auto before = text.substr(0, offset);
        auto lines = std::count(before.begin(), before.end(), '\n');
        auto line = before.substr(lines == 0 ? 0 : before.rfind('\n') + 1);
        auto column = line.size() - size_t(std::count_if(line.begin(), line.end(), is_continuation)) + 1;
        auto shown = "column " + std::to_string(column);
        return lines == 0 ? shown : "line " + std::to_string(lines + 1) + ", " + shown;
    }

    std::string expected(const char *what) const { return place(position) + ": expected " + what + ", but found " + found(); }

    /// Returns the character at the current place. More could be a part of a secret.
    std::string found() const {
        if (at_end()) return "the end";
        size_t end = position + 1;
        while (end < text.size() && is_continuation(text[end]) && end - position < 4) end++;
        if (uint8_t(text[position]) < 0x20 || text[position] == 0x7F) return "a control character";
        char quote = text[position] == '\'' ? '"' : '\'';
        return quote + std::string(text.substr(position, end - position)) + quote;
    }

    bool refuse(size_t offset, const char *what) {
        reason = place(offset) + ": " + what;
        return false;
    }

    bool string() {
        size_t start = position++;
        while (!at_end() && text[position] != '"') {
            char c = text[position];
            if (uint8_t(c) < 0x20) return refuse(position, "a string holds an unescaped control character");
            position++;
            if (c != '\\') continue;
            char escape = at_end() ? '\0' : text[position];
            size_t digits = escape == 'u' ? 4 : 0;
            bool is_known = std::string_view("\"\\/bfnrtu").find(escape) != std::string_view::npos && escape;
            for (size_t i = 1; i <= digits; i++) is_known = is_known && position + i < text.size() && is_hex(text[position + i]);
            if (!is_known && !at_end()) return refuse(position - 1, "a string holds a malformed escape");
            position = std::min(text.size(), position + 1 + digits);
        }
        if (at_end()) return refuse(start, "a string is not closed");
        position++;
        return true;
    }

    bool scalar(const char *what) {
        char c = at_end() ? '\0' : text[position];
        if (c == '"') return string();
        if (c == '-' || is_digit(c)) return number();
        for (std::string_view word : {"true", "false", "null"}) {
            auto end = position + word.size();
            if (text.substr(position, word.size()) != word || (end < text.size() && is_word(text[end]))) continue;
            position = end;
            return true;
        }
        reason = expected(what);
        return false;
    }

    bool number() {
        size_t start = position;
        auto digits = [&] {
            size_t first = position;
            while (!at_end() && is_digit(text[position])) position++;
            return position > first;
        };
        if (text[position] == '-') position++;
        bool is_zero = !at_end() && text[position] == '0';
        bool is_right = digits() && (!is_zero || position == start + (text[start] == '-' ? 2 : 1));
        if (is_right && !at_end() && text[position] == '.') {
            position++;
            is_right = digits();
        }
        if (is_right && !at_end() && (text[position] == 'e' || text[position] == 'E')) {
            position++;
            if (!at_end() && (text[position] == '+' || text[position] == '-')) position++;
            is_right = digits();
        }
        if (is_right && (at_end() || !is_word(text[position]))) return true;
        return refuse(start, "a number is malformed");
    }
};

} // namespace

std::string json_fault(std::string_view text) { return Walk(text).fault(); }
