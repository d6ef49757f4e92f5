#pragma once
// A C face of valijson: JSON Schema, draft 7. Not for two threads at once.

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tgp_schemas tgp_schemas;

tgp_schemas *tgp_schemas_new(void);
void tgp_schemas_free(tgp_schemas *self);

/// Adds a document, which others may refer to by its `$id`, or by `uri` when it has none. NULL, or what is wrong with it.
const char *tgp_schemas_add(tgp_schemas *self, const char *uri, const char *json, size_t count);

/// Makes a document, by the `uri` it was added with, ready to check by. NULL, or what is wrong with it.
const char *tgp_schemas_compile(tgp_schemas *self, const char *uri);

/// Takes a document to check. False when it is no JSON; it is then taken back by nobody.
bool tgp_schemas_take(tgp_schemas *self, const char *json, size_t count);

/// Checks the document that was taken last, or only the member `key` of it (absent: an empty object). NULL: it fits. Otherwise why
/// not, until the next call.
const char *tgp_schemas_check(tgp_schemas *self, const char *uri, const char *key);

#ifdef __cplusplus
}
#endif
