#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "CSimdJSON.h"

/// Finds the values at given paths in a document, as they were written, by a walk over the positions where its tokens begin.
///
/// The document must be valid: the walk checks nothing. A key with an escape is not found.
class FieldWalk {
public:
    /// Adds a path such as `payload.message.chat.id`. The step `*` means each item of an array; the last one counts.
    void add(std::string_view path, uint32_t slot);

    /// Sets each slot whose path exists.
    void run(const char *line, const uint32_t *starts, tgp_text *slots) const;

private:
    static constexpr uint32_t none = UINT32_MAX;

    struct Child {
        std::string key;
        uint32_t node;
        // The first bytes of the key, which tell most keys of the same length apart without a call.
        uint64_t head;
    };

    struct Node {
        uint32_t slot = none;
        /// The node for the items of an array.
        uint32_t items = none;
        /// The children by the length of their keys modulo 64, so that most keys cost no comparison.
        std::array<std::vector<Child>, 64> children;
        bool has_children = false;
    };

    std::vector<Node> nodes{1};

    struct Walk;
};
