#include "CZstd.h"

#include "CLoader.h"

#define ZSTD_FUNCTIONS(F) \
    F(size_t, ZSTD_compressBound, (size_t size), (size)) \
    F(unsigned, ZSTD_isError, (size_t code), (code)) \
    F(const char *, ZSTD_getErrorName, (size_t code), (code)) \
    F(ZSTD_CCtx *, ZSTD_createCCtx, (void), ()) \
    F(size_t, ZSTD_freeCCtx, (ZSTD_CCtx * context), (context)) \
    F(ZSTD_DCtx *, ZSTD_createDCtx, (void), ()) \
    F(size_t, ZSTD_freeDCtx, (ZSTD_DCtx * context), (context)) \
    F(ZSTD_CDict *, ZSTD_createCDict, (const void *bytes, size_t size, int level), (bytes, size, level)) \
    F(size_t, ZSTD_freeCDict, (ZSTD_CDict * dictionary), (dictionary)) \
    F(ZSTD_DDict *, ZSTD_createDDict, (const void *bytes, size_t size), (bytes, size)) \
    F(size_t, ZSTD_freeDDict, (ZSTD_DDict * dictionary), (dictionary)) \
    F(size_t, ZSTD_compress_usingCDict, \
      (ZSTD_CCtx * context, void *to, size_t room, const void *from, size_t size, const ZSTD_CDict *dictionary), \
      (context, to, room, from, size, dictionary)) \
    F(size_t, ZSTD_compressCCtx, (ZSTD_CCtx * context, void *to, size_t room, const void *from, size_t size, int level), \
      (context, to, room, from, size, level)) \
    F(size_t, ZSTD_decompress_usingDDict, \
      (ZSTD_DCtx * context, void *to, size_t room, const void *from, size_t size, const ZSTD_DDict *dictionary), \
      (context, to, room, from, size, dictionary)) \
    F(size_t, ZSTD_decompressDCtx, (ZSTD_DCtx * context, void *to, size_t room, const void *from, size_t size), \
      (context, to, room, from, size)) \
    F(unsigned long long, ZSTD_getFrameContentSize, (const void *bytes, size_t size), (bytes, size)) \
    F(unsigned, ZSTD_getDictID_fromFrame, (const void *bytes, size_t size), (bytes, size)) \
    F(unsigned, ZSTD_getDictID_fromDict, (const void *bytes, size_t size), (bytes, size)) \
    F(size_t, ZDICT_finalizeDictionary, \
      (void *to, size_t room, const void *content, size_t size, const void *samples, const size_t *sizes, unsigned count, \
       ZDICT_params_t settings), \
      (to, room, content, size, samples, sizes, count, settings)) \
    F(unsigned, ZDICT_isError, (size_t code), (code))

TGP_LAZY_LIBRARY(ZSTD_FUNCTIONS, TGP_NO_VARIADIC, "libzstd.so.1", "libzstd1")
