#pragma once
// A C interface to valijson: JSON Schema, draft 7. It is not for two threads at once.

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tgp_schemas tgp_schemas;

tgp_schemas *tgp_schemas_new(void);
void tgp_schemas_free(tgp_schemas *self);

/// Adds a document, which others may refer to by its `$id`, or by `uri` when it has none. Returns its fault, or NULL.
const char *tgp_schemas_add(tgp_schemas *self, const char *uri, const char *json, size_t count);

/// Compiles the document that was added with `uri`. Returns its fault, or NULL.
const char *tgp_schemas_compile(tgp_schemas *self, const char *uri);

/// Parses a document to check. Returns false if it is not JSON.
bool tgp_schemas_take(tgp_schemas *self, const char *json, size_t count);

/// Checks the document that was parsed last, or only its member `key` (an empty object if it is absent). Returns NULL if it matches,
/// otherwise the reason, which is valid until the next call.
const char *tgp_schemas_check(tgp_schemas *self, const char *uri, const char *key);

#ifdef __cplusplus
}
#endif
