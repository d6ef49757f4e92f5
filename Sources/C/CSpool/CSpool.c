#define _GNU_SOURCE
#include "CSpool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE __attribute__((target("sse4.2")))
#define STEP8(crc, word) ((uint32_t)_mm_crc32_u64((crc), (word)))
#define STEP1(crc, byte) _mm_crc32_u8((crc), (byte))
static int has_hardware(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#define HARDWARE __attribute__((target("+crc")))
#define STEP8(crc, word) __crc32cd((crc), (word))
#define STEP1(crc, byte) __crc32cb((crc), (byte))
static int has_hardware(void) { return (getauxval(AT_HWCAP) & (1 << 7)) != 0; }
#endif

#ifdef HARDWARE
HARDWARE static uint32_t hardware(uint32_t crc, const unsigned char *bytes, size_t count) {
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        crc = STEP8(crc, word);
    }
    for (; count > 0; bytes++, count--) crc = STEP1(crc, *bytes);
    return crc;
}
#endif

static uint32_t software(uint32_t crc, const unsigned char *bytes, size_t count) {
    for (; count > 0; bytes++, count--) {
        crc ^= *bytes;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82F63B78u & -(crc & 1));
    }
    return crc;
}

uint32_t tgp_crc32c(uint32_t crc, const void *bytes, size_t count) {
#ifdef HARDWARE
    if (has_hardware()) return ~hardware(~crc, bytes, count);
#endif
    return ~software(~crc, bytes, count);
}

uint32_t tgp_spool_sum(const void *line, size_t count, uint32_t end) {
    const unsigned char place[4] = {end & 0xFF, end >> 8 & 0xFF, end >> 16 & 0xFF, end >> 24};
    return tgp_crc32c(tgp_crc32c(0, place, 4), line, count);
}

size_t tgp_spool_lines(const void *bytes, size_t count, uint32_t start, tgp_spool_line *lines, size_t most, size_t *taken) {
    const char *at = bytes, *limit = at + count;
    size_t found = 0;
    while (found < most && at < limit) {
        const char *feed = memchr(at, '\n', limit - at);
        if (!feed) break;
        const uint32_t end = start + (uint32_t)(feed + 1 - (const char *)bytes);
        lines[found++] = (tgp_spool_line){end, tgp_spool_sum(at, feed + 1 - at, end)};
        at = feed + 1;
    }
    *taken = at - (const char *)bytes;
    return found;
}

ssize_t tgp_splice(int file, int64_t *offset, int pipe, size_t count) {
    return splice(file, offset, pipe, NULL, count, SPLICE_F_NONBLOCK);
}
