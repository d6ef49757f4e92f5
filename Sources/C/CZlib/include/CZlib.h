#pragma once
#include <zlib.h>

// deflateInit2 and inflateInit2 are macros.
static inline int tgp_deflate_start(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}

/// Starts to unpack gzip or zlib data; the first bytes decide which.
static inline int tgp_inflate_start(z_stream *stream) { return inflateInit2(stream, 15 + 32); }
