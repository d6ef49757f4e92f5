#include "RepeatedKeys.h"

#include <algorithm>
#include <cstring>

#include <simdjson.h>

#include "KeyHash.h"

namespace {

/// In objects with up to this many keys, each key is compared with those before it. The keys of larger objects are sorted, because
/// the cost of comparing would grow with the square of their number.
constexpr size_t few_keys = 32;

std::string_view text_at(const char *strings, uint64_t word) {
    const char *at = strings + (word & 0x00FFFFFFFFFFFFFFu);
    uint32_t count;
    std::memcpy(&count, at, sizeof count);
    return {at + sizeof count, count};
}

bool is_container(uint64_t word) { return word >> 56 == '{' || word >> 56 == '['; }

/// Returns whether a word begins a number, whose value is the next word.
bool is_number(uint64_t word) { return word >> 56 == 'l' || word >> 56 == 'u' || word >> 56 == 'd'; }

} // namespace

// This function is long because it is the hot loop: values in members instead of variables would be loaded again for every key.
bool RepeatedKeys::find(const simdjson::dom::document &document) {
    const uint64_t *tape = document.tape.get();
    const char *strings = reinterpret_cast<const char *>(document.string_buf.get());
    outer.clear();
    found = {};
    // The first word of the tape is the root; the value of the document follows it.
    if (!is_container(tape[1])) return false;
    if (keys.empty()) keys.resize(few_keys);
    Container in{uint32_t(tape[1]) - size_t(1), 0, 0, tape[1] >> 56 == '{'};
    size_t used = 0;
    for (size_t at = 2;;) {
        if (at == in.end) {
            if (used - in.from > few_keys && is_among_many(in.from, used)) return true;
            if (outer.empty()) return false;
            used = in.from;
            in = outer.back();
            outer.pop_back();
            at++;
            continue;
        }
        if (in.is_object) {
            std::string_view key = text_at(strings, tape[at]);
            uint64_t hash = key_hash(key);
            uint64_t bit = uint64_t(1) << (hash & 63);
            if (in.seen & bit && used - in.from < few_keys && is_among(in.from, used, hash, key)) {
                found = key;
                return true;
            }
            in.seen |= bit;
            if (used == keys.size()) keys.resize(2 * used);
            Key &kept = keys[used++];
            kept.hash = hash;
            kept.bytes = key.data();
            kept.count = key.size();
            at++;
        }
        if (is_container(tape[at])) {
            outer.push_back(in);
            in = {uint32_t(tape[at]) - size_t(1), used, 0, tape[at] >> 56 == '{'};
            at++;
        } else {
            at += is_number(tape[at]) ? 2 : 1;
        }
    }
}

void RepeatedKeys::give_back_memory() {
    std::vector<Key>().swap(keys);
    std::vector<Container>().swap(outer);
}

bool RepeatedKeys::is_among(size_t from, size_t used, uint64_t hash, std::string_view key) const {
    for (size_t i = from; i < used; i++)
        if (keys[i].hash == hash && keys[i].text() == key) return true;
    return false;
}

bool RepeatedKeys::is_among_many(size_t from, size_t used) {
    auto first = keys.begin() + from, last = keys.begin() + used;
    std::sort(first, last, [](const Key &a, const Key &b) {
        return a.hash != b.hash ? a.hash < b.hash : a.text() < b.text();
    });
    auto twin = std::adjacent_find(
        first, last, [](const Key &a, const Key &b) { return a.hash == b.hash && a.text() == b.text(); });
    if (twin == last) return false;
    found = twin->text();
    return true;
}
