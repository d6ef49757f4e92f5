#pragma once
// Finds the place where a text stops being JSON, for the person who has to mend it.

#include <string>
#include <string_view>

/// Returns what is wrong with a text and where, such as `column 14: expected ',' or '}', but found 'x'`; empty if the text is JSON.
std::string json_fault(std::string_view text);
