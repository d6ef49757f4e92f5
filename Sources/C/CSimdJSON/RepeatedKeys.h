#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace simdjson::dom {
class document;
}

/// Finds an object, at any depth, that repeats a key: two readers that use different ones of its values would disagree.
///
/// It walks once over the parser's tape, whose form simdjson documents (doc/tape.md); with the element classes this takes three
/// times as long. It keeps its memory between calls.
class RepeatedKeys {
public:
    /// Returns whether there is a repeated key, which `key()` then returns as long as the document exists.
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

    /// An object or array that contains the current position.
    struct Container {
        /// The position of its end on the tape.
        size_t end;
        /// The index of its first key in `keys`.
        size_t from;
        /// A bit for the hash of each key so far.
        uint64_t seen;
        bool is_object;
    };

    /// The keys of all objects that contain the current position; those of the innermost one are the last.
    std::vector<Key> keys;
    std::vector<Container> outer;
    std::string_view found;

    bool is_among(size_t from, size_t used, uint64_t hash, std::string_view key) const;
    bool is_among_many(size_t from, size_t used);
};
