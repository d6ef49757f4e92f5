#pragma once
// The texts that users read, one file a language. The files are in data/.

#include <stddef.h>

typedef struct {
    const char *start;
    size_t count;
} tgp_text_file;

/// Returns the file of a language (`en`); its start is NULL if there is none.
tgp_text_file tgp_text_file_of(const char *language);
