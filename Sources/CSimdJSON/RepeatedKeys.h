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
/// One walk over the parser's tape, whose form simdjson documents (doc/tape.md); through its element classes it takes twice as long.
/// Keeps its memory between calls.
class RepeatedKeys {
public:
    /// Whether there is one; `key()` then names it, as long as the document lives.
    bool find(const simdjson::dom::document &document);

    std::string_view key() const { return found; }

    void give_back_memory();

private:
    struct Key {
        uint64_t hash;
        std::string_view text;

        Key() = default;
        Key(uint64_t hash, const char *bytes, size_t count) : hash(hash), text(bytes, count) {}
    };

    const uint64_t *tape = nullptr;
    const char *strings = nullptr;
    /// Of the objects that are open: the innermost one's at the end.
    std::vector<Key> keys;
    std::string_view found;

    std::string_view text(uint64_t word) const;
    size_t after_value(size_t at);
    size_t after_array(size_t at);
    size_t after_object(size_t at);
    bool is_among(size_t from, uint64_t hash, std::string_view key) const;
    void look_among_many(size_t from);
};
