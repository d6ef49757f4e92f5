#include "FieldWalk.h"

#include <algorithm>
#include <cstring>

#include "QuickScan.h"

/// Returns the first 8 bytes of a key, or the whole of a shorter one. It reads 8 bytes even then: lines are padded.
static uint64_t head_of(const char *key, size_t count) {
    uint64_t head;
    std::memcpy(&head, key, sizeof head);
    return count < sizeof head ? head & ((uint64_t(1) << (8 * count)) - 1) : head;
}

void FieldWalk::add(std::string_view path, uint32_t slot) {
    uint32_t at = 0;
    while (!path.empty()) {
        size_t end = std::min(path.find('.'), path.size());
        std::string_view step = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        uint32_t next = none;
        if (step == "*") {
            next = nodes[at].items;
        } else {
            for (auto &child : nodes[at].children[step.size() & 63])
                if (child.key == step) next = child.node;
        }
        if (next == none) {
            next = uint32_t(nodes.size());
            nodes.emplace_back();
            if (step == "*") {
                nodes[at].items = next;
            } else {
                std::string padded(step);
                padded.resize(std::max(step.size(), sizeof(uint64_t)));
                nodes[at].children[step.size() & 63].push_back(
                    {std::string(step), next, head_of(padded.data(), step.size())});
                nodes[at].has_children = true;
            }
        }
        at = next;
    }
    nodes[at].slot = slot;
}

struct FieldWalk::Walk {
    const std::vector<Node> &nodes;
    const char *line;
    const uint32_t *starts;
    tgp_text *slots;

    char token(uint32_t index) const { return line[starts[index]]; }

    /// Returns the index of the token after a value.
    uint32_t skip(uint32_t index) const {
        uint32_t depth = 0;
        do {
            char c = token(index++);
            if (c == '{' || c == '[') depth++;
            else if (c == '}' || c == ']') depth--;
        } while (depth > 0);
        return index;
    }

    uint32_t find(const Node &node, std::string_view key) const {
        auto &children = node.children[key.size() & 63];
        if (children.empty()) return none;
        uint64_t head = head_of(key.data(), key.size());
        for (auto &child : children)
            if (child.head == head && (key.size() <= sizeof head || child.key == key) && child.key.size() == key.size())
                return child.node;
        return none;
    }

    /// Takes the value whose first token has this index, for a node. Returns the index of the token after the value.
    uint32_t value(uint32_t index, const Node &node) const {
        uint32_t next;
        if (token(index) == '{' && node.has_children) next = object(index, node);
        else if (token(index) == '[' && node.items != none) next = array(index, nodes[node.items]);
        else next = skip(index);
        if (node.slot != none) {
            const char *begin = line + starts[index];
            const char *end = line + starts[next];
            while (end > begin && quick_scan::is_space(end[-1])) end--;
            slots[node.slot] = {begin, size_t(end - begin)};
        }
        return next;
    }

    uint32_t object(uint32_t index, const Node &node) const {
        if (token(++index) == '}') return index + 1;
        while (true) {
            uint32_t child = find(node, quick_scan::quoted(line + starts[index], line + starts[index + 1]));
            index = child == none ? skip(index + 2) : value(index + 2, nodes[child]);
            if (token(index++) == '}') return index;
        }
    }

    uint32_t array(uint32_t index, const Node &items) const {
        if (token(++index) == ']') return index + 1;
        while (true) {
            index = value(index, items);
            if (token(index++) == ']') return index;
        }
    }
};

void FieldWalk::run(const char *line, const uint32_t *starts, tgp_text *slots) const {
    // The document as a whole has no token after it, so its own end is not looked for.
    Walk walk{nodes, line, starts, slots};
    if (walk.token(0) == '{') walk.object(0, nodes[0]);
}
