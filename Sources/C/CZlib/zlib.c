#include "CZlib.h"

#include "CLoader.h"

#define ZLIB_FUNCTIONS(F) \
    F(uLong, crc32, (uLong sum, const Bytef *bytes, uInt count), (sum, bytes, count)) \
    F(int, deflate, (z_streamp stream, int flush), (stream, flush)) \
    F(int, deflateEnd, (z_streamp stream), (stream)) \
    F(int, deflateInit2_, \
      (z_streamp stream, int level, int method, int window, int memory, int strategy, const char *version, int size), \
      (stream, level, method, window, memory, strategy, version, size)) \
    F(int, inflate, (z_streamp stream, int flush), (stream, flush)) \
    F(int, inflateEnd, (z_streamp stream), (stream)) \
    F(int, inflateReset, (z_streamp stream), (stream)) \
    F(int, inflateInit2_, (z_streamp stream, int window, const char *version, int size), (stream, window, version, size))

TGP_LAZY_LIBRARY(ZLIB_FUNCTIONS, TGP_NO_VARIADIC, "libz.so.1", "zlib1g")
