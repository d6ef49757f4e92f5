#pragma once
// Checksums, and moving a file's bytes into a pipe while the kernel advances the offset, for Spool.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Returns the CRC-32C (Castagnoli, RFC 3720) of bytes, computed by the processor's own instruction. `crc` is 0, or
/// the checksum of the bytes before.
uint32_t tgp_crc32c(uint32_t crc, const void *bytes, size_t count);

/// Describes one line of a segment: its end, and the checksum of that end (four bytes, little-endian) and of the
/// line.
typedef struct {
    uint32_t end;
    uint32_t sum;
} tgp_spool_line;

/// Describes the lines of `bytes`, which begin at `start` of the segment, in `lines`, which has room for `most` of
/// them.
/// Returns their number, and in `taken` their bytes.
size_t tgp_spool_lines(const void *bytes, size_t count, uint32_t start, tgp_spool_line *lines, size_t most, size_t *taken);

/// Returns the checksum of a line that ends at `end` of its segment.
uint32_t tgp_spool_sum(const void *line, size_t count, uint32_t end);

/// Moves up to `count` bytes of a file into a pipe, without waiting; returns their number, or -1. `offset` advances
/// within the call, so that the end of the process cannot come between the two.
ssize_t tgp_splice(int file, int64_t *offset, int pipe, size_t count);

#ifdef __cplusplus
}
#endif
