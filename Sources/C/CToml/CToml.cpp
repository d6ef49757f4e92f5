#include "CToml.h"

#include <deque>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// The library asserts that a key begins with a character of keys, and then reports the same fault as an error. A malformed file
// must not end the process.
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/toml.h>

struct tgp_toml {
    std::vector<tgp_toml_token> tokens;
    // In a deque, strings keep their addresses.
    std::deque<std::string> texts;
    std::string fault;
    uint32_t fault_line = 0;
};

namespace {

class Walk {
public:
    explicit Walk(tgp_toml &document) : document(document) {}

    void add(const toml::node &node) {
        const uint32_t line = node.source().begin.line;
        if (const auto *table = node.as_table()) {
            append({TGP_TOML_TABLE, line, table->size(), nullptr, 0, 0});
            for (const auto &[key, value] : *table) {
                append({TGP_TOML_STRING, key.source().begin.line, key.str().size(), keep(key.str()), 0, 0});
                add(value);
            }
        } else if (const auto *array = node.as_array()) {
            append({TGP_TOML_ARRAY, line, array->size(), nullptr, 0, 0});
            for (const auto &value : *array) add(value);
        } else if (const auto *string = node.as_string()) {
            append({TGP_TOML_STRING, line, string->get().size(), keep(string->get()), 0, 0});
        } else if (const auto *integer = node.as_integer()) {
            append({TGP_TOML_INTEGER, line, 0, nullptr, integer->get(), 0});
        } else if (const auto *number = node.as_floating_point()) {
            append({TGP_TOML_FLOAT, line, 0, nullptr, 0, number->get()});
        } else if (const auto *boolean = node.as_boolean()) {
            append({TGP_TOML_BOOLEAN, line, 0, nullptr, boolean->get(), 0});
        } else {
            append({TGP_TOML_DATE, line, 0, nullptr, 0, 0});
        }
    }

private:
    tgp_toml &document;

    void append(const tgp_toml_token &token) { document.tokens.push_back(token); }

    const char *keep(std::string_view text) { return document.texts.emplace_back(text).c_str(); }
};

} // namespace

tgp_toml *tgp_toml_parse(const char *text, size_t count) {
    auto *document = new (std::nothrow) tgp_toml;
    if (!document) return nullptr;
    const toml::parse_result result = toml::parse(std::string_view(text, count));
    if (result) {
        Walk(*document).add(result.table());
    } else {
        document->fault = result.error().description();
        document->fault_line = result.error().source().begin.line;
    }
    return document;
}

void tgp_toml_free(tgp_toml *document) { delete document; }

const char *tgp_toml_fault(const tgp_toml *document) {
    return document->fault_line ? document->fault.c_str() : nullptr;
}

uint32_t tgp_toml_fault_line(const tgp_toml *document) { return document->fault_line; }

const tgp_toml_token *tgp_toml_tokens(const tgp_toml *document, size_t *count) {
    *count = document->tokens.size();
    return document->tokens.data();
}
