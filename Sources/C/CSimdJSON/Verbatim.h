#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Finds the values that are valid JSON (RFC 8259) but that simdjson cannot represent: numbers outside the range of its number
/// types, and strings with an unpaired surrogate. It makes a copy of the document in which the parser accepts them, and remembers
/// where they were.
///
/// It keeps its memory between calls.
class Verbatim {
public:
    /// A value in the document as it was written; a string without its quotes.
    struct Place {
        /// The number of strings, numbers and literals before it in the document, keys included.
        size_t ordinal;
        std::string_view source;
    };

    /// Makes the copy; returns false if the document has no such value. The places point into the document.
    ///
    /// `starts` are the positions of the document's tokens, which are the result of simdjson's first stage.
    bool rewrite(const char *bytes, size_t count, const uint32_t *starts, uint32_t start_count);

    const std::string &copy() const { return rewritten; }
    const std::vector<Place> &places() const { return found; }

    void clear() { found.clear(); }
    void give_back_memory();

private:
    std::string rewritten;
    std::vector<Place> found;

    bool append_string(std::string_view text);
};
