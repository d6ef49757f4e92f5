#include "CSimdJSON.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

#include <simdjson.h>

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

// Above this a parser gives its memory back after use, so that one huge line does not cost for ever.
static constexpr size_t kept_capacity = size_t(1) << 20;

struct tgp_parser {
    simdjson::dom::parser parser;
    size_t max_depth;
    std::vector<tgp_token> tokens;
    std::vector<std::string_view> keys;
    std::string_view duplicate;
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

const char *words(simdjson::error_code error) {
    switch (error) {
    case simdjson::EMPTY: return "it is empty";
    case simdjson::UNCLOSED_STRING: return "a string is not closed";
    case simdjson::UNESCAPED_CHARS: return "a string holds an unescaped control character";
    case simdjson::NUMBER_ERROR: return "a number is malformed or out of range";
    case simdjson::STRING_ERROR: return "a string holds a malformed escape";
    default: return "its structure is broken";
    }
}

simdjson::error_code parse(tgp_parser *self, const char *bytes, size_t count, bool padded, element &root) {
    auto &parser = self->parser;
    // The parser's own growth would forget the depth limit.
    if (parser.capacity() < count || parser.max_depth() != self->max_depth) {
        size_t capacity = std::max({count, parser.capacity(), size_t(4096)});
        if (auto error = parser.allocate(capacity, self->max_depth)) return error;
    }
    return parser.parse(bytes, count, !padded).get(root);
}

bool duplicate_among(std::vector<std::string_view> &keys, size_t from, std::string_view &found) {
    size_t count = keys.size() - from;
    auto *first = keys.data() + from;
    if (count <= 16) {
        for (size_t i = 1; i < count; i++)
            for (size_t j = 0; j < i; j++)
                if (first[i].size() == first[j].size() && first[i] == first[j]) {
                    found = first[i];
                    return true;
                }
        return false;
    }
    std::sort(first, first + count);
    auto *twin = std::adjacent_find(first, first + count);
    if (twin == first + count) return false;
    found = *twin;
    return true;
}

/// Whether an object anywhere below repeats a key: two readers that pick different twins would disagree on what was said.
bool repeats_key(tgp_parser *self, element value) {
    if (value.type() == element_type::ARRAY) {
        for (element item : array(value))
            if (!item.is<std::string_view>() && repeats_key(self, item)) return true;
        return false;
    }
    if (value.type() != element_type::OBJECT) return false;
    size_t from = self->keys.size();
    for (auto member : object(value)) self->keys.push_back(member.key);
    bool found = duplicate_among(self->keys, from, self->duplicate);
    self->keys.resize(from);
    if (found) return true;
    for (auto member : object(value)) {
        auto type = member.value.type();
        if ((type == element_type::OBJECT || type == element_type::ARRAY) && repeats_key(self, member.value)) return true;
    }
    return false;
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
    if (id.size() != 36) return false;
    for (size_t i = 0; i < 36; i++) {
        unsigned char c = id[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') return false;
        } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
            return false;
        }
    }
    return true;
}

bool is_version(element value) {
    int64_t number = 0;
    return value.is<int64_t>() && !value.get(number) && number >= 1 && number <= INT32_MAX;
}

bool is_uuid_text(element value) {
    std::string_view id;
    return !value.get(id) && is_uuid(id);
}

/// Takes one member of the top-level object into the header; what is wrong with it becomes the header's status.
void take(tgp_header &header, std::string_view key, element value) {
    auto wrong = [&](tgp_status status) {
        header.status = status;
        header.field = text(key);
    };
    std::string_view string;
    if (key == "type") {
        if (value.get(string) || !is_dotted_name(string)) return wrong(TGP_INVALID_TYPE);
        header.type = text(string);
    } else if (key == "correlation_id") {
        if (value.get(string) || !is_uuid(string)) return wrong(TGP_INVALID_CORRELATION_ID);
        header.correlation_id = text(string);
    } else if (key == "id" || key == "causation_id") {
        if (!is_uuid_text(value)) wrong(TGP_INVALID_FIELD);
    } else if (key == "version") {
        if (!is_version(value)) wrong(TGP_INVALID_FIELD);
    } else if (key == "timestamp") {
        if (!value.is<std::string_view>()) wrong(TGP_INVALID_FIELD);
    } else if (key == "payload" || key == "meta") {
        if (!value.is<object>()) wrong(TGP_INVALID_FIELD);
    }
}

void append_tokens(tgp_parser *self, element value);

void append_object(tgp_parser *self, object members) {
    size_t at = self->tokens.size();
    self->tokens.push_back({TGP_OBJECT, 0, {0}});
    size_t count = 0;
    for (auto member : members) {
        tgp_token key{TGP_STRING, member.key.size(), {0}};
        key.bytes = member.key.data();
        self->tokens.push_back(key);
        append_tokens(self, member.value);
        count++;
    }
    self->tokens[at].count = count;
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
}

void append_tokens(tgp_parser *self, element value) {
    tgp_token token{TGP_NULL, 0, {0}};
    switch (value.type()) {
    case element_type::ARRAY: return append_array(self, array(value));
    case element_type::OBJECT: return append_object(self, object(value));
    case element_type::INT64:
        token.kind = TGP_INTEGER;
        token.integer = int64_t(value);
        break;
    case element_type::UINT64:
        token.kind = TGP_UNSIGNED;
        token.unsigned_integer = uint64_t(value);
        break;
    case element_type::DOUBLE:
        token.kind = TGP_DOUBLE;
        token.number = double(value);
        break;
    case element_type::STRING: {
        std::string_view string(value);
        token.kind = TGP_STRING;
        token.count = string.size();
        token.bytes = string.data();
        break;
    }
    case element_type::BOOL: token.kind = bool(value) ? TGP_TRUE : TGP_FALSE; break;
    case element_type::NULL_VALUE: break;
    }
    self->tokens.push_back(token);
}

void give_back_memory(tgp_parser *self) {
    if (self->parser.capacity() <= kept_capacity) return;
    self->parser = simdjson::dom::parser();
    std::vector<tgp_token>().swap(self->tokens);
}

} // namespace

size_t tgp_padding(void) { return simdjson::SIMDJSON_PADDING; }

tgp_parser *tgp_parser_new(size_t max_depth) {
    auto *self = new (std::nothrow) tgp_parser;
    if (self) self->max_depth = max_depth;
    return self;
}

void tgp_parser_free(tgp_parser *parser) { delete parser; }

tgp_header tgp_scan(tgp_parser *self, const char *line, size_t count, bool padded) {
    give_back_memory(self);
    tgp_header header{};
    element root;
    if (auto error = parse(self, line, count, padded, root)) {
        header.status = status_of(error);
        header.detail = words(error);
        return header;
    }
    if (!root.is<object>()) {
        header.status = TGP_NOT_OBJECT;
        return header;
    }
    if (repeats_key(self, root)) {
        header.status = TGP_DUPLICATE_KEY;
        header.field = text(self->duplicate);
        return header;
    }
    for (auto member : object(root)) {
        tgp_status before = header.status;
        tgp_text field = header.field;
        take(header, member.key, member.value);
        // The first fault is told, but the rest is still taken: a dead letter keeps a valid correlation id.
        if (before != TGP_OK) {
            header.status = before;
            header.field = field;
        }
    }
    if (header.status != TGP_OK) return header;
    if (!header.type.bytes) header.status = TGP_MISSING_TYPE;
    else if (!header.correlation_id.bytes) header.status = TGP_MISSING_CORRELATION_ID;
    return header;
}

tgp_document tgp_parse(tgp_parser *self, const char *bytes, size_t count, bool padded) {
    give_back_memory(self);
    tgp_document document{};
    element root;
    if (auto error = parse(self, bytes, count, padded, root)) {
        document.status = status_of(error);
        document.detail = words(error);
        return document;
    }
    if (repeats_key(self, root)) {
        document.status = TGP_DUPLICATE_KEY;
        document.field = text(self->duplicate);
        return document;
    }
    self->tokens.clear();
    append_tokens(self, root);
    document.tokens = self->tokens.data();
    document.count = self->tokens.size();
    return document;
}
