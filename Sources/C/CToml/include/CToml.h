#pragma once
// A C interface to toml++: one call turns a document into tokens with their lines. All returned pointers are valid as
// long as the document.

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tgp_toml tgp_toml;

typedef enum {
    TGP_TOML_STRING,
    TGP_TOML_INTEGER,
    TGP_TOML_FLOAT,
    TGP_TOML_BOOLEAN,
    TGP_TOML_DATE,
    TGP_TOML_ARRAY,
    TGP_TOML_TABLE,
} tgp_toml_kind;

/// Describes one value. An array is followed by its `count` values, a table by `count` pairs of key (a string) and
/// value.
typedef struct {
    tgp_toml_kind kind;
    uint32_t line;
    size_t count;
    const char *text;
    int64_t integer;
    double number;
} tgp_toml_token;

/// Parses a document; returns NULL only when memory is used up.
tgp_toml *tgp_toml_parse(const char *text, size_t count);
void tgp_toml_free(tgp_toml *document);

/// Returns the document's error in the parser's words, and its line; NULL when there is none.
const char *tgp_toml_fault(const tgp_toml *document);
uint32_t tgp_toml_fault_line(const tgp_toml *document);

const tgp_toml_token *tgp_toml_tokens(const tgp_toml *document, size_t *count);

#ifdef __cplusplus
}
#endif
