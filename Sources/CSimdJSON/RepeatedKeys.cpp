#include "RepeatedKeys.h"

#include <algorithm>
#include <cstring>

#include <simdjson.h>

namespace {

/// Up to here a key is compared with those before it; larger objects are sorted, as their cost would grow with the square.
constexpr size_t few_keys = 32;

/// The 8 bytes from `bytes` on. simdjson's string buffer is padded, so that they are there even where the key is shorter.
uint64_t word(const char *bytes) {
    uint64_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

/// Tells most keys apart by length, beginning and end; equal hashes are followed by a comparison.
uint64_t hash_of(std::string_view key) {
    uint64_t head = word(key.data());
    uint64_t tail = 0;
    if (key.size() < 8) head &= (uint64_t(1) << (8 * key.size())) - 1;
    else tail = word(key.data() + key.size() - 8);
    // The upper bits of the product depend on all of the lower ones.
    return ((head ^ (tail << 1 | tail >> 63) ^ key.size()) * 0x9E3779B97F4A7C15u) >> 16;
}

} // namespace

bool RepeatedKeys::find(const simdjson::dom::document &document) {
    tape = document.tape.get();
    strings = reinterpret_cast<const char *>(document.string_buf.get());
    keys.clear();
    found = {};
    // The first word of the tape is the root; the document's value follows.
    after_value(1);
    return found.data() != nullptr;
}

void RepeatedKeys::give_back_memory() { std::vector<Key>().swap(keys); }

std::string_view RepeatedKeys::text(uint64_t word) const {
    const char *at = strings + (word & 0x00FFFFFFFFFFFFFFu);
    uint32_t count;
    std::memcpy(&count, at, sizeof count);
    return {at + sizeof count, count};
}

size_t RepeatedKeys::after_value(size_t at) {
    switch (tape[at] >> 56) {
    case '{': return after_object(at);
    case '[': return after_array(at);
    // A number's value is a word of its own.
    case 'l':
    case 'u':
    case 'd': return at + 2;
    default: return at + 1;
    }
}

size_t RepeatedKeys::after_array(size_t at) {
    size_t after = uint32_t(tape[at]);
    for (at++; at < after - 1 && !found.data();) at = after_value(at);
    return after;
}

size_t RepeatedKeys::after_object(size_t at) {
    size_t after = uint32_t(tape[at]);
    size_t from = keys.size();
    uint64_t seen = 0;
    for (at++; at < after - 1 && !found.data();) {
        std::string_view key = text(tape[at]);
        uint64_t hash = hash_of(key);
        uint64_t bit = uint64_t(1) << (hash & 63);
        if (seen & bit && keys.size() - from < few_keys && is_among(from, hash, key)) {
            found = key;
            break;
        }
        seen |= bit;
        keys.emplace_back(hash, key.data(), key.size());
        at = after_value(at + 1);
    }
    if (keys.size() - from > few_keys && !found.data()) look_among_many(from);
    keys.resize(from);
    return after;
}

bool RepeatedKeys::is_among(size_t from, uint64_t hash, std::string_view key) const {
    for (size_t i = from; i < keys.size(); i++)
        if (keys[i].hash == hash && keys[i].text == key) return true;
    return false;
}

void RepeatedKeys::look_among_many(size_t from) {
    auto first = keys.begin() + from;
    std::sort(first, keys.end(), [](const Key &a, const Key &b) { return a.hash != b.hash ? a.hash < b.hash : a.text < b.text; });
    auto twin = std::adjacent_find(
        first, keys.end(), [](const Key &a, const Key &b) { return a.hash == b.hash && a.text == b.text; });
    if (twin != keys.end()) found = twin->text;
}
