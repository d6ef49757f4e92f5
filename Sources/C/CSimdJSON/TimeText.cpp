#include "TimeText.h"

#include <cstdint>

namespace {

bool is_digit(char c) { return uint8_t(c - '0') < 10; }

/// Returns the number that two digits represent; 100 for other characters.
int two_digits(const char *at) { return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10 + (at[1] - '0') : 100; }

int days_in(int month, int year) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && is_leap);
}

bool is_date(const char *at) {
    int century = two_digits(at), year = two_digits(at + 2), month = two_digits(at + 5), day = two_digits(at + 8);
    if (century > 99 || year > 99 || at[4] != '-' || at[7] != '-') return false;
    return month >= 1 && month <= 12 && day >= 1 && day <= days_in(month, century * 100 + year);
}

bool is_time_of_day(const char *at) {
    return two_digits(at) < 24 && at[2] == ':' && two_digits(at + 3) < 60 && at[5] == ':' && two_digits(at + 6) <= 60;
}

bool is_offset(std::string_view text) {
    if (text.size() == 1) return text[0] == 'Z' || text[0] == 'z';
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return false;
    return two_digits(text.data() + 1) < 24 && two_digits(text.data() + 4) < 60;
}

} // namespace

bool is_rfc3339(std::string_view text) {
    constexpr size_t date = 10, whole = 19;
    if (text.size() <= whole || !is_date(text.data()) || !is_time_of_day(text.data() + date + 1)) return false;
    if (text[date] != 'T' && text[date] != 't' && text[date] != ' ') return false;
    size_t end = whole;
    if (text[end] == '.') {
        do end++;
        while (end < text.size() && is_digit(text[end]));
        if (end == whole + 1) return false;
    }
    return is_offset(text.substr(end));
}
