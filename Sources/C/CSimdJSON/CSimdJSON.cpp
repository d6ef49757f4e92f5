#include "CSimdJSON.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

#include "Fault.h"
#include "FieldWalk.h"
#include "LineShapes.h"
#include "QuickScan.h"
#include "RepeatedKeys.h"
#include "TimeText.h"
#include "Verbatim.h"

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

// A parser with a larger capacity frees its memory after use, so that one huge line does not occupy memory for ever.
static constexpr size_t kept_capacity = size_t(1) << 20;

static_assert(simdjson::SIMDJSON_PADDING >= QuickScan::most_read_after);

struct tgp_parser {
    simdjson::dom::parser parser;
    size_t max_depth;
    std::vector<tgp_token> tokens;
    RepeatedKeys repeated;
    QuickScan quick;
    LineShapes shapes;
    // Whether the parser has the positions of the last line's tokens, and whether the line had a known shape.
    bool has_tokens = false;
    bool has_known_shape = false;
    Verbatim verbatim;
    // The position in `verbatim.places()` and in the document while tokens are made.
    size_t next_place = 0;
    size_t ordinal = 0;
    // The words about the last document that is no JSON.
    std::string fault;
};

namespace {

tgp_text text(std::string_view view) { return {view.data(), view.size()}; }

tgp_status status_of(simdjson::error_code error) {
    switch (error) {
    case simdjson::SUCCESS: return TGP_OK;
    case simdjson::UTF8_ERROR: return TGP_NOT_UTF8;
    case simdjson::DEPTH_ERROR: return TGP_TOO_DEEP;
    case simdjson::MEMALLOC: return TGP_OUT_OF_MEMORY;
    default: return TGP_NOT_JSON;
    }
}

/// Returns whether a line is the first of a value that was written over several lines.
bool begins_long_form(std::string_view line) {
    while (!line.empty() && quick_scan::is_space(line.back())) line.remove_suffix(1);
    return line == "{" || line == "[";
}

const char *words(tgp_parser *self, simdjson::error_code error, std::string_view line) {
    if (begins_long_form(line)) return "the value must be on one line (`jq -c` writes it so)";
    if (error == simdjson::EMPTY) return "it is empty";
    // The parser does not tell the place; a second look, at broken texts only, finds it.
    if (status_of(error) == TGP_NOT_JSON) self->fault = json_fault(line);
    if (status_of(error) == TGP_NOT_JSON && !self->fault.empty()) return self->fault.c_str();
    switch (error) {
    case simdjson::UNCLOSED_STRING: return "a string is not closed";
    case simdjson::UNESCAPED_CHARS: return "a string holds an unescaped control character";
    case simdjson::NUMBER_ERROR: return "a number is malformed";
    case simdjson::STRING_ERROR: return "a string holds a malformed escape";
    default: return "its structure is broken";
    }
}

simdjson::error_code make_room(tgp_parser *self, size_t count) {
    auto &parser = self->parser;
    // A parser that grows by itself would lose the depth limit.
    if (parser.capacity() >= count && parser.max_depth() == self->max_depth) return simdjson::SUCCESS;
    return parser.allocate(std::max({count, parser.capacity(), size_t(4096)}), self->max_depth);
}

/// Parses a document with values that simdjson refuses although they are valid. Returns whether there is no other fault.
bool parse_verbatim(tgp_parser *self, const char *bytes, size_t count, element &root) {
    auto &stages = *self->parser.implementation;
    if (stages.stage1(reinterpret_cast<const uint8_t *>(bytes), count, simdjson::stage1_mode::regular)) return false;
    if (!self->verbatim.rewrite(bytes, count, stages.structural_indexes.get(), stages.n_structural_indexes)) return false;
    auto &copy = self->verbatim.copy();
    if (!make_room(self, copy.size()) && !self->parser.parse(copy.data(), copy.size(), true).get(root)) return true;
    self->verbatim.clear();
    return false;
}

simdjson::error_code parse(tgp_parser *self, const char *bytes, size_t count, bool padded, element &root) {
    if (auto error = make_room(self, count)) return error;
    auto error = self->parser.parse(bytes, count, !padded).get(root);
    self->has_tokens = true;
    if (error == simdjson::SUCCESS || error == simdjson::MEMALLOC || error == simdjson::CAPACITY) return error;
    // simdjson refuses valid numbers and strings that no machine type holds. Its versions name these faults differently (integers of more
    // than 64 bits are a number error in 3.0, and an error of their own in 3.12), so every refused text gets a second look.
    return parse_verbatim(self, bytes, count, root) ? simdjson::SUCCESS : error;
}

bool is_dotted_name(std::string_view name) {
    if (name.empty() || name.size() > 255) return false;
    bool in_word = false;
    for (unsigned char c : name) {
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!word && (c != '.' || !in_word)) return false;
        in_word = word;
    }
    return in_word;
}

bool is_uuid(std::string_view id) {
    if (id.size() != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-') return false;
    // The loop has no branch and a fixed length, so that the compiler turns it into a few vector instructions: an event has three
    // UUIDs.
    uint8_t digits = 0;
    for (size_t i = 0; i < 36; i++) {
        uint8_t c = uint8_t(id[i]);
        digits += uint8_t(uint8_t(c - '0') < 10) | uint8_t(uint8_t((c | 0x20) - 'a') < 6);
    }
    return digits == 32;
}

bool take_version(tgp_header &header, element value) {
    int64_t number = 0;
    if (!value.is<int64_t>() || value.get(number) || number < 1 || number > INT32_MAX) return false;
    header.version = int32_t(number);
    return true;
}

/// Returns whether a value is a string that a check accepts.
bool is_text(element value, bool check(std::string_view)) {
    std::string_view string;
    return !value.get(string) && check(string);
}

enum class known_key { none, id, type, version, correlation_id, causation_id, timestamp, payload, meta };

/// Returns the key that a name stands for. It looks at the length first, so that most keys cost one comparison.
known_key known(std::string_view key) {
    auto only = [&](std::string_view name, known_key known) { return key == name ? known : known_key::none; };
    switch (key.size()) {
    case 2: return only("id", known_key::id);
    case 4: return key == "type" ? known_key::type : only("meta", known_key::meta);
    case 7: return key == "version" ? known_key::version : only("payload", known_key::payload);
    case 9: return only("timestamp", known_key::timestamp);
    case 12: return only("causation_id", known_key::causation_id);
    case 14: return only("correlation_id", known_key::correlation_id);
    default: return known_key::none;
    }
}

/// Takes one member of the top-level object into the header. Returns the fault of the member, or TGP_OK.
tgp_status take(tgp_header &header, std::string_view key, element value) {
    std::string_view string;
    switch (known(key)) {
    case known_key::none: return TGP_OK;
    case known_key::type:
        if (value.get(string) || !is_dotted_name(string)) return TGP_INVALID_TYPE;
        header.type = text(string);
        return TGP_OK;
    case known_key::correlation_id:
        if (value.get(string) || !is_uuid(string)) return TGP_INVALID_CORRELATION_ID;
        header.correlation_id = text(string);
        return TGP_OK;
    case known_key::id:
    case known_key::causation_id: return is_text(value, is_uuid) ? TGP_OK : TGP_INVALID_FIELD;
    case known_key::version: return take_version(header, value) ? TGP_OK : TGP_INVALID_FIELD;
    case known_key::timestamp: return is_text(value, is_rfc3339) ? TGP_OK : TGP_INVALID_FIELD;
    case known_key::payload:
    case known_key::meta: return value.is<object>() ? TGP_OK : TGP_INVALID_FIELD;
    }
    return TGP_OK;
}

/// Returns a whole number from 1 to 999999999; 0 for other values.
int32_t small_number(const char *at) {
    int32_t number = 0;
    const char *end = at + 9;
    for (; at < end && quick_scan::is_digit(*at); at++) number = 10 * number + (*at - '0');
    return quick_scan::ends_value(*at) ? number : 0;
}

LineShapes::Role role(known_key key) {
    using Role = LineShapes::Role;
    switch (key) {
    case known_key::id:
    case known_key::causation_id: return Role::id;
    case known_key::type: return Role::type;
    case known_key::version: return Role::version;
    case known_key::correlation_id: return Role::correlation_id;
    case known_key::timestamp: return Role::timestamp;
    case known_key::none:
    case known_key::payload:
    case known_key::meta: return Role::none;
    }
    return Role::none;
}

/// Takes a value of the envelope itself, which has the right kind. Returns whether it has no fault.
bool take(tgp_header &header, LineShapes::Role role, std::string_view value) {
    using Role = LineShapes::Role;
    switch (role) {
    case Role::none: return true;
    case Role::type: header.type = text(value); return is_dotted_name(value);
    case Role::correlation_id: header.correlation_id = text(value); return is_uuid(value);
    case Role::id: return is_uuid(value);
    case Role::version: return (header.version = small_number(value.data())) > 0;
    case Role::timestamp: return is_rfc3339(value);
    }
    return false;
}

/// Takes one member for the quick scan. Returns whether it has no fault; the parser finds out which fault it has.
bool take(tgp_header &header, const QuickScan::Member &member) {
    auto key = known(member.key);
    switch (key) {
    case known_key::none: return true;
    case known_key::payload:
    case known_key::meta: return member.is('{');
    case known_key::version: return !member.is('"') && !member.is('[') && !member.is('{') && take(header, role(key), member.text);
    default: return member.is('"') && take(header, role(key), member.text);
    }
}

/// Returns true if the quick scan finds that the line is an envelope. False does not mean that it is none.
bool is_plain_envelope(tgp_parser *self, const char *line, size_t count, tgp_header &header) {
    auto &shapes = self->shapes;
    auto take_value = [&](const LineShapes::Value &value) { return take(header, value.role, value.text); };
    self->has_known_shape = shapes.recognize(line, count, take_value);
    if (self->has_known_shape) return true;
    header.type = header.correlation_id = {};
    header.version = 1;
    bool learns = shapes.wants_more();
    if (learns) shapes.begin(line);
    bool accepted = self->quick.accepts(
        line, count, [&](const QuickScan::Member &member) { return take(header, member); },
        [&](QuickScan::Scalar kind, std::string_view key, const char *begin, const char *end) {
            if (learns) shapes.add(kind, key.data() ? role(known(key)) : LineShapes::Role::none, begin, end);
        });
    accepted = accepted && header.type.bytes && header.correlation_id.bytes;
    if (!learns) return accepted;
    if (accepted) shapes.learn(count);
    else shapes.give_up();
    return accepted;
}

/// Finds the tokens of a valid line. Returns false if there is no memory for them.
bool find_tokens(tgp_parser *self, const char *line, size_t count) {
    if (make_room(self, count)) return false;
    auto bytes = reinterpret_cast<const uint8_t *>(line);
    return !self->parser.implementation->stage1(bytes, count, simdjson::stage1_mode::regular);
}

void append_tokens(tgp_parser *self, element value);

/// Appends the text of a value as it was written if simdjson cannot represent the value. Each string, number and literal counts.
bool append_source(tgp_parser *self, tgp_kind kind) {
    size_t ordinal = self->ordinal++;
    auto &places = self->verbatim.places();
    if (self->next_place == places.size() || places[self->next_place].ordinal != ordinal) return false;
    auto source = places[self->next_place++].source;
    tgp_token token{kind, source.size(), {0}};
    token.bytes = source.data();
    self->tokens.push_back(token);
    return true;
}

void append_object(tgp_parser *self, object members) {
    size_t at = self->tokens.size();
    self->tokens.push_back({TGP_OBJECT, 0, {0}});
    size_t count = 0;
    for (auto member : members) {
        // A key has no second form: an unpaired surrogate in it becomes U+FFFD.
        if (append_source(self, TGP_STRING)) self->tokens.pop_back();
        tgp_token key{TGP_STRING, member.key.size(), {0}};
        key.bytes = member.key.data();
        self->tokens.push_back(key);
        append_tokens(self, member.value);
        count++;
    }
    self->tokens[at].count = count;
    self->tokens[at].integer = int64_t(self->tokens.size() - at);
}

void append_array(tgp_parser *self, array items) {
    size_t at = self->tokens.size();
    self->tokens.push_back({TGP_ARRAY, 0, {0}});
    size_t count = 0;
    for (element item : items) {
        append_tokens(self, item);
        count++;
    }
    self->tokens[at].count = count;
    self->tokens[at].integer = int64_t(self->tokens.size() - at);
}

void append_tokens(tgp_parser *self, element value) {
    tgp_token token{TGP_NULL, 0, {0}};
    switch (value.type()) {
    case element_type::ARRAY: return append_array(self, array(value));
    case element_type::OBJECT: return append_object(self, object(value));
    case element_type::INT64:
        if (append_source(self, TGP_NUMERAL)) return;
        token.kind = TGP_INTEGER;
        token.integer = int64_t(value);
        break;
    case element_type::UINT64:
        self->ordinal++;
        token.kind = TGP_UNSIGNED;
        token.unsigned_integer = uint64_t(value);
        break;
    case element_type::DOUBLE:
        self->ordinal++;
        token.kind = TGP_DOUBLE;
        token.number = double(value);
        break;
    case element_type::STRING: {
        append_source(self, TGP_ESCAPED);
        std::string_view string(value);
        token.kind = TGP_STRING;
        token.count = string.size();
        token.bytes = string.data();
        break;
    }
    case element_type::BOOL:
        self->ordinal++;
        token.kind = bool(value) ? TGP_TRUE : TGP_FALSE;
        break;
    case element_type::NULL_VALUE: self->ordinal++; break;
    }
    self->tokens.push_back(token);
}

/// Ends the use of the last document. A parser that has grown large frees its memory.
void begin_document(tgp_parser *self) {
    self->has_tokens = self->has_known_shape = false;
    self->verbatim.clear();
    if (self->parser.capacity() <= kept_capacity) return;
    self->parser = simdjson::dom::parser();
    std::vector<tgp_token>().swap(self->tokens);
    self->repeated.give_back_memory();
    self->verbatim.give_back_memory();
}

} // namespace

bool tgp_is_time(const char *bytes, size_t count) { return is_rfc3339({bytes, count}); }

size_t tgp_padding(void) { return simdjson::SIMDJSON_PADDING; }

bool tgp_is_utf8(const char *bytes, size_t count) { return simdjson::validate_utf8(bytes, count); }

tgp_parser *tgp_parser_new(size_t max_depth) {
    auto *self = new (std::nothrow) tgp_parser;
    if (self) self->max_depth = max_depth;
    return self;
}

void tgp_parser_free(tgp_parser *parser) { delete parser; }

tgp_header tgp_scan(tgp_parser *self, const char *line, size_t count, bool padded) {
    begin_document(self);
    tgp_header header{};
    header.version = 1;
    // The quick scan reads bytes after the line; for a line without padding the parser makes a copy.
    if (padded && count > 0 && is_plain_envelope(self, line, count, header)) return header;
    header = {};
    header.version = 1;
    element root;
    if (auto error = parse(self, line, count, padded, root)) {
        header.status = status_of(error);
        header.detail = words(self, error, {line, count});
        return header;
    }
    if (!root.is<object>()) {
        header.status = TGP_NOT_OBJECT;
        return header;
    }
    if (self->repeated.find(self->parser.doc)) {
        header.status = TGP_DUPLICATE_KEY;
        header.field = text(self->repeated.key());
    }
    for (auto member : object(root)) {
        auto status = take(header, member.key, member.value);
        // The first fault is reported, but later members are still taken: a dead letter keeps a valid correlation id.
        if (status != TGP_OK && header.status == TGP_OK) {
            header.status = status;
            header.field = text(member.key);
        }
    }
    // If there are two correlation ids, neither counts.
    if (header.status == TGP_DUPLICATE_KEY && self->repeated.key() == "correlation_id") header.correlation_id = {};
    if (header.status != TGP_OK) return header;
    if (!header.type.bytes) header.status = TGP_MISSING_TYPE;
    else if (!header.correlation_id.bytes) header.status = TGP_MISSING_CORRELATION_ID;
    return header;
}

tgp_document tgp_parse(tgp_parser *self, const char *bytes, size_t count, bool padded) {
    begin_document(self);
    tgp_document document{};
    element root;
    if (auto error = parse(self, bytes, count, padded, root)) {
        document.status = status_of(error);
        document.detail = words(self, error, {bytes, count});
        return document;
    }
    if (self->repeated.find(self->parser.doc)) {
        document.status = TGP_DUPLICATE_KEY;
        document.field = text(self->repeated.key());
        return document;
    }
    self->tokens.clear();
    self->next_place = self->ordinal = 0;
    append_tokens(self, root);
    document.tokens = self->tokens.data();
    document.count = self->tokens.size();
    return document;
}

struct tgp_fields {
    FieldWalk walk;
    size_t count;
};

tgp_fields *tgp_fields_new(size_t count) { return new (std::nothrow) tgp_fields{{}, count}; }

void tgp_fields_add(tgp_fields *fields, const char *path, size_t place) { fields->walk.add(path, uint32_t(place)); }

void tgp_fields_free(tgp_fields *fields) { delete fields; }

tgp_header tgp_find(tgp_parser *self, const tgp_fields *fields, const char *line, size_t count, tgp_text *values) {
    auto header = tgp_scan(self, line, count, true);
    if (header.status != TGP_OK) return header;
    if (self->has_known_shape && self->shapes.find(fields, values, fields->count)) return header;
    for (size_t i = 0; i < fields->count; i++) values[i] = {nullptr, 0};
    // The parser has the tokens of the line, unless the quick scan was enough, or the parser had to work on a copy.
    bool has_tokens = self->has_tokens && self->verbatim.places().empty();
    if (!has_tokens && !find_tokens(self, line, count)) return header;
    fields->walk.run(line, self->parser.implementation->structural_indexes.get(), values);
    if (self->has_known_shape) self->shapes.note(fields, values, fields->count);
    return header;
}
