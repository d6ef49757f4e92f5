#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace simdjson::dom {
class document;
}

/// Finds an object, at any depth, that repeats a key: two readers that pick different twins would disagree on what was said.
///
/// One walk over the parser's tape, whose form simdjson documents (doc/tape.md): through its element classes it takes three times
/// as long. Keeps its memory between calls.
class RepeatedKeys {
public:
    /// Whether there is one; `key()` then names it, as long as the document lives.
    bool find(const simdjson::dom::document &document);

    std::string_view key() const { return found; }

    void give_back_memory();

private:
    struct Key {
        uint64_t hash;
        const char *bytes;
        size_t count;

        std::string_view text() const { return {bytes, count}; }
    };

    /// An object or array that the walk is in.
    struct Container {
        /// The position on the tape of its end.
        size_t end;
        /// Its first key among `keys`.
        size_t from;
        /// A bit for the hash of each key so far.
        uint64_t seen;
        bool is_object;
    };

    /// Of the objects that the walk is in: the innermost one's at the end.
    std::vector<Key> keys;
    std::vector<Container> outer;
    std::string_view found;

    bool is_among(size_t from, size_t used, uint64_t hash, std::string_view key) const;
    bool is_among_many(size_t from, size_t used);
};
