#pragma once
// The shim defines these functions itself, hidden, so that they must not be declared as those of a library.
#define ZSTDLIB_VISIBLE __attribute__((visibility("hidden")))
#define ZDICTLIB_VISIBLE __attribute__((visibility("hidden")))
#include <zdict.h>
#include <zstd.h>
