#define _GNU_SOURCE
#include "CLoader.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void fail(const char *file, const char *package, const char *reason) {
    char line[1024];
    int count = snprintf(
        line, sizeof line,
        "%s: error: unable to load %s or a library that it needs: %s; install the Debian package %s with those that it depends on\n",
        program_invocation_short_name, file, reason ? reason : "unknown reason", package);
    if (count > 0) (void)!write(STDERR_FILENO, line, (size_t)count < sizeof line ? (size_t)count : sizeof line - 1);
    _exit(69);
}

void tgp_load_library(const char *file, const char *package, const tgp_symbol *symbols, size_t count) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail(file, package, dlerror());
    for (size_t i = 0; i < count; i++) {
        *symbols[i].pointer = dlsym(library, symbols[i].name);
        if (!*symbols[i].pointer) fail(file, package, dlerror());
    }
}
