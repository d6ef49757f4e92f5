#pragma once
// A C interface to simdjson's DOM parser. One function checks a line and finds the values that routing needs; another turns a
// document into tokens. All pointers in results point into the line or the parser, and are valid until the parser's next call.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tgp_parser tgp_parser;

typedef struct {
    const char *bytes;
    size_t count;
} tgp_text;

typedef enum {
    TGP_OK = 0,
    TGP_NOT_JSON,
    TGP_NOT_UTF8,
    TGP_TOO_DEEP,
    TGP_NOT_OBJECT,
    TGP_DUPLICATE_KEY,
    TGP_MISSING_TYPE,
    TGP_INVALID_TYPE,
    TGP_MISSING_CORRELATION_ID,
    TGP_INVALID_CORRELATION_ID,
    TGP_INVALID_FIELD,
    TGP_OUT_OF_MEMORY,
} tgp_status;

/// Holds the values of an envelope that routing needs; an absent version is 1. `field` names the key at fault, and `detail`
/// says what is wrong and where; it is valid until the parser's next call.
typedef struct {
    tgp_status status;
    int32_t version;
    tgp_text type;
    tgp_text correlation_id;
    tgp_text field;
    const char *detail;
} tgp_header;

/// The Swift type `JSONToken.Kind` has the same values.
typedef enum : uint8_t {
    TGP_NULL = 0,
    TGP_FALSE,
    TGP_TRUE,
    TGP_INTEGER,
    TGP_UNSIGNED,
    TGP_DOUBLE,
    TGP_STRING,
    /// A number outside the range of the other kinds, as it was written.
    TGP_NUMERAL,
    /// The text between the quotes of a string with an unpaired surrogate, with its escapes; a TGP_STRING token follows, which
    /// has U+FFFD in place of the surrogate.
    TGP_ESCAPED,
    TGP_ARRAY,
    TGP_OBJECT,
} tgp_kind;

/// Holds one value. Tokens are in document order: the `count` values of an array follow it, and the `count` pairs of key and value
/// of an object follow it. `integer` of an array or object is the number of its tokens, its own included. The Swift type `JSONToken`
/// has the same layout.
typedef struct {
    tgp_kind kind;
    size_t count;
    union {
        int64_t integer;
        uint64_t unsigned_integer;
        double number;
        const char *bytes;
    };
} tgp_token;

typedef struct {
    tgp_status status;
    const tgp_token *tokens;
    size_t count;
    tgp_text field;
    const char *detail;
} tgp_document;

/// Returns whether a text is an RFC 3339 time.
bool tgp_is_time(const char *bytes, size_t count);

/// Returns the number of bytes after a line that simdjson may read; their values do not matter.
size_t tgp_padding(void);

tgp_parser *tgp_parser_new(size_t max_depth);
void tgp_parser_free(tgp_parser *parser);

/// Checks that a whole line is an envelope. `padded` means that `tgp_padding()` bytes after the line may be read; otherwise the
/// line is copied.
tgp_header tgp_scan(tgp_parser *parser, const char *line, size_t count, bool padded);

/// The paths of the values that `tgp_find` finds.
typedef struct tgp_fields tgp_fields;

/// Makes an empty list of paths, whose values have `count` places.
tgp_fields *tgp_fields_new(size_t count);

/// Adds a path such as `payload.message.chat.id`, and the place of its value. The step `*` means each item of an array, of which
/// the last counts.
void tgp_fields_add(tgp_fields *fields, const char *path, size_t place);
void tgp_fields_free(tgp_fields *fields);

/// Checks that a whole line is an envelope, as `tgp_scan` does, and finds the values at the paths. The line must be padded.
///
/// Each value is the text in the line, as it was written; it has no bytes if it is absent. A key with an escape is not found.
tgp_header tgp_find(tgp_parser *parser, const tgp_fields *fields, const char *line, size_t count, tgp_text *values);

/// Parses any JSON document to tokens. TGP_NUMERAL and TGP_ESCAPED tokens point into the document.
tgp_document tgp_parse(tgp_parser *parser, const char *bytes, size_t count, bool padded);

/// Returns whether bytes are UTF-8.
bool tgp_is_utf8(const char *bytes, size_t count);

#ifdef __cplusplus
}
#endif
