#pragma once
// A C face of toml++: one call turns a document into tokens with their places.
// Everything that is handed out lives as long as the document.

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

/// One value. An array is followed by its `count` values, a table by `count` pairs of key (a string) and value.
typedef struct {
    tgp_toml_kind kind;
    uint32_t line;
    size_t count;
    const char *text;
    int64_t integer;
    double number;
} tgp_toml_token;

/// nil only when memory is used up.
tgp_toml *tgp_toml_parse(const char *text, size_t count);
void tgp_toml_free(tgp_toml *document);

/// What is wrong with the document, in the parser's words, and on which line; NULL when nothing is.
const char *tgp_toml_fault(const tgp_toml *document);
uint32_t tgp_toml_fault_line(const tgp_toml *document);

const tgp_toml_token *tgp_toml_tokens(const tgp_toml *document, size_t *count);

#ifdef __cplusplus
}
#endif
