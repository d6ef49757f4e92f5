#include "CHiredis.h"

#include "CLoader.h"

#include <dlfcn.h>

#define HIREDIS_FUNCTIONS(F) \
    F(void, freeReplyObject, (void *reply), (reply)) \
    F(redisReader *, redisReaderCreate, (void), ()) \
    F(int, redisReaderFeed, (redisReader * reader, const char *bytes, size_t count), (reader, bytes, count)) \
    F(void, redisReaderFree, (redisReader * reader), (reader)) \
    F(int, redisReaderGetReply, (redisReader * reader, void **reply), (reader, reply))

// The library's file and its Debian package are named by the version of its interface.
#define TEXT(number) #number
#define VERSION(number) TEXT(number)

TGP_LAZY_LIBRARY(
    HIREDIS_FUNCTIONS, TGP_NO_VARIADIC, "libhiredis.so." VERSION(HIREDIS_SONAME), "libhiredis" VERSION(HIREDIS_SONAME))

bool tgp_has_hiredis(void) {
    return dlopen("libhiredis.so." VERSION(HIREDIS_SONAME), RTLD_NOW | RTLD_LOCAL) != NULL;
}
