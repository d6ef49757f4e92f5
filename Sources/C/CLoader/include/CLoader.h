#pragma once
// Loads shared libraries at their first use instead of at the start of the program.
//
// One program contains all tools. With normal linking, each tool would load the libraries of every other tool: libcurl alone
// brings 29 more libraries, which cost 5 ms at each start, and libcrypto costs 1 ms.

#include <pthread.h>
#include <stddef.h>

/// Names a function of a library and the pointer through which it is called.
typedef struct {
    const char *name;
    void **pointer;
} tgp_symbol;

/// Loads a library and finds its functions. When the library is missing or too old, prints an error that names the Debian package to
/// install, and ends the process with status 69.
void tgp_load_library(const char *file, const char *package, const tgp_symbol *symbols, size_t count);

/// Declares the pointer that calls a function of the library.
#define TGP_POINTER(result, name, parameters, arguments) static result(*p_##name) parameters;

/// Lists a function in a table of `tgp_symbol`.
#define TGP_ENTRY(result, name, parameters, arguments) {#name, (void **)&p_##name},

/// Defines the function under its own name. It is hidden, so that the library itself does not call it.
#define TGP_FUNCTION(result, name, parameters, arguments) \
    __attribute__((visibility("hidden"))) result name parameters { \
        pthread_once(&once, load); \
        return p_##name arguments; \
    }

/// Defines each function of `LIST`, a macro that calls its argument with result, name, parameters and arguments for each.
/// `VARIADIC` lists further functions in the same way. Only their pointers are made: the caller defines these functions, and calls
/// `pthread_once(&once, load)` in each.
#define TGP_LAZY_LIBRARY(LIST, VARIADIC, file, package) \
    LIST(TGP_POINTER) \
    VARIADIC(TGP_POINTER) \
    static pthread_once_t once = PTHREAD_ONCE_INIT; \
    static void load(void) { \
        static const tgp_symbol symbols[] = {LIST(TGP_ENTRY) VARIADIC(TGP_ENTRY)}; \
        tgp_load_library(file, package, symbols, sizeof symbols / sizeof *symbols); \
    } \
    LIST(TGP_FUNCTION)

/// The list of variadic functions of a library that has none.
#define TGP_NO_VARIADIC(F)
