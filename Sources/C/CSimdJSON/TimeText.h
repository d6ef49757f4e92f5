#pragma once
// Times as the envelope has them.

#include <string_view>

/// Whether a text is a moment by RFC 3339: any offset, any number of decimals, a space in the place of the T. What
/// `Timestamp` reads and what this accepts are the same.
bool is_rfc3339(std::string_view text);
