#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

/// Returns a hash of the key's length, beginning and end, which differs for most keys. Keys with equal hashes must be compared.
///
/// It reads 8 bytes from the key's beginning, even if the key is shorter: simdjson's buffers are padded.
inline uint64_t key_hash(std::string_view key) {
    uint64_t head = 0, tail = 0;
    std::memcpy(&head, key.data(), sizeof head);
    if (key.size() < 8) head &= (uint64_t(1) << (8 * key.size())) - 1;
    else std::memcpy(&tail, key.data() + key.size() - 8, sizeof tail);
    // The upper bits of the product depend on all of the lower ones.
    return ((head ^ (tail << 1 | tail >> 63) ^ key.size()) * 0x9E3779B97F4A7C15u) >> 16;
}
