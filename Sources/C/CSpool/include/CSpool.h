#pragma once
// What a spool needs of the machine: checksums, and moving a file's bytes into a pipe with the place noted by the kernel.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/// CRC-32C (Castagnoli, RFC 3720), as the processor's own instruction computes it; `crc` is 0, or what came before.
uint32_t tgp_crc32c(uint32_t crc, const void *bytes, size_t count);

/// One line of a segment: where it ends, and the checksum of that place (four bytes, little-endian) and of the line.
typedef struct {
    uint32_t end;
    uint32_t sum;
} tgp_spool_line;

/// Notes the lines of `bytes`, which begin at `start` of the segment, in `lines`, which has room for `most` of them.
/// How many; `taken` tells how many bytes they are.
size_t tgp_spool_lines(const void *bytes, size_t count, uint32_t start, tgp_spool_line *lines, size_t most, size_t *taken);

/// The checksum of one line that ends at `end` of its segment.
uint32_t tgp_spool_sum(const void *line, size_t count, uint32_t end);

/// Moves up to `count` bytes of a file into a pipe, without waiting; how many, or -1. `offset` is moved on within the call: what
/// kills the process cannot come between the two.
ssize_t tgp_splice(int file, int64_t *offset, int pipe, size_t count);

#ifdef __cplusplus
}
#endif
