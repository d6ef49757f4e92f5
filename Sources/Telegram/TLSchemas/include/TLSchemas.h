#pragma once
// The texts of the built-in TL schemas. The files are in data/; scripts/tl-schema.py makes them.

#include <stddef.h>

typedef struct {
    const char *start;
    size_t count;
} tl_schema_text;

extern const char tl_schema_mtproto[], tl_schema_mtproto_end[];
extern const char tl_schema_229[], tl_schema_229_end[];
extern const char tl_schema_201[], tl_schema_201_end[];
extern const char tl_schema_181[], tl_schema_181_end[];

#define TL_SCHEMA_TEXT(NAME) ((tl_schema_text){tl_schema_##NAME, (size_t)(tl_schema_##NAME##_end - tl_schema_##NAME)})

static inline tl_schema_text tl_schema_of_mtproto(void) { return TL_SCHEMA_TEXT(mtproto); }
static inline tl_schema_text tl_schema_layer_229(void) { return TL_SCHEMA_TEXT(229); }
static inline tl_schema_text tl_schema_layer_201(void) { return TL_SCHEMA_TEXT(201); }
static inline tl_schema_text tl_schema_layer_181(void) { return TL_SCHEMA_TEXT(181); }
