#pragma once
// Checks the times of envelopes.

#include <string_view>

/// Returns whether a text is an RFC 3339 time, with any offset, any number of decimals, and a space in place of the T. `Timestamp`
/// reads the same texts that this function accepts.
bool is_rfc3339(std::string_view text);
