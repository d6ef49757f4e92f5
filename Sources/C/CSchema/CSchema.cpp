#include "CSchema.h"

#include <exception>
#include <map>
#include <memory>
#include <new>
#include <string>

#define VALIJSON_USE_EXCEPTIONS 1
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

using nlohmann::json;
using valijson::adapters::NlohmannJsonAdapter;

namespace {

// The library's regular expressions call themselves for every character: longer strings are not held against patterns. Threads that
// check have the stack for these.
constexpr unsigned most_matched = 16384;
constexpr size_t longest_key = 1024;

using Documents = std::map<std::string, std::shared_ptr<json>>;

// RFC 3986, as far as schemas need it; without the fragment.
std::string resolved(const std::string &base, const std::string &reference) {
    const std::string place = reference.substr(0, reference.find('#'));
    if (place.empty()) return base;
    const size_t scheme = base.find("://");
    if (place.find("://") != std::string::npos || place.compare(0, 4, "urn:") == 0) return place;
    const size_t root = scheme == std::string::npos ? 0 : base.find('/', scheme + 3);
    if (place[0] == '/') return base.substr(0, root) + place;
    const size_t folder = base.find_last_of('/');
    return (folder == std::string::npos ? "" : base.substr(0, folder + 1)) + place;
}

// The library knows no `$id`, and resolves no relative references: they are made absolute before it sees them.
class Parser : public valijson::SchemaParser {
public:
    Parser() : valijson::SchemaParser(valijson::SchemaParser::kDraft7) {}

    opt::optional<std::string> resolveDocumentUri(
        const opt::optional<std::string> &scope, const opt::optional<std::string> &document) override {
        return document ? document : scope;
    }
};

// Every `pattern` is asked only of strings that are short enough: {"anyOf": [{"minLength": …}, {"pattern": …}]} stops at the first.
void limit_pattern(json &schema) {
    const auto found = schema.find("pattern");
    if (found == schema.end() || !found->is_string()) return;
    const json limited = {{"anyOf", {{{"minLength", most_matched + 1}}, {{"pattern", *found}}}}};
    schema.erase(found);
    if (!schema.contains("allOf")) schema["allOf"] = json::array();
    if (schema["allOf"].is_array()) schema["allOf"].push_back(limited);
}

void prepare(json &schema, std::string base, Documents &documents) {
    if (schema.is_array()) {
        for (auto &item : schema) prepare(item, base, documents);
    }
    if (!schema.is_object()) return;
    const auto id = schema.find("$id");
    const bool is_named = id != schema.end() && id->is_string() && (*id).get_ref<const std::string &>()[0] != '#';
    if (is_named) base = resolved(base, id->get<std::string>());
    for (auto &[name, value] : schema.items()) {
        // What is compared with values is no schema.
        if (name != "const" && name != "enum" && name != "examples" && name != "default") prepare(value, base, documents);
    }
    const auto reference = schema.find("$ref");
    if (reference != schema.end() && reference->is_string()) {
        const auto text = reference->get<std::string>();
        const size_t fragment = text.find('#');
        *reference = resolved(base, text) + (fragment == std::string::npos ? "#" : text.substr(fragment));
    }
    limit_pattern(schema);
    if (is_named) documents[base] = std::make_shared<json>(schema);
}

bool has_long_key(const json &value) {
    if (!value.is_structured()) return false;
    for (const auto &[key, member] : value.items()) {
        if ((value.is_object() && key.size() > longest_key) || has_long_key(member)) return true;
    }
    return false;
}

std::string words(valijson::ValidationResults &results) {
    valijson::ValidationResults::Error error, deepest;
    while (results.popError(error)) {
        if (deepest.description.empty() || error.context.size() > deepest.context.size()) deepest = error;
    }
    std::string place;
    for (const auto &step : deepest.context) {
        if (step == "<root>" || step.size() < 2) continue;
        const std::string name = step.front() == '[' ? step.substr(1, step.size() - 2) : step;
        if (!place.empty()) place += '.';
        place += name.substr(0, 100);
    }
    return place.empty() ? deepest.description : place + ": " + deepest.description;
}

} // namespace

struct tgp_schemas {
    // By $id and by uri.
    Documents documents;
    std::map<std::string, std::unique_ptr<valijson::Schema>> schemas;
    valijson::Validator validator{valijson::Validator::kStrongTypes};
    json taken;
    std::string fault;

    const char *say(std::string reason) {
        fault = std::move(reason);
        return fault.c_str();
    }
};

tgp_schemas *tgp_schemas_new(void) { return new (std::nothrow) tgp_schemas; }

void tgp_schemas_free(tgp_schemas *self) { delete self; }

const char *tgp_schemas_add(tgp_schemas *self, const char *uri, const char *text, size_t count) {
    try {
        auto document = std::make_shared<json>(json::parse(text, text + count));
        prepare(*document, uri, self->documents);
        self->documents[uri] = document;
        return nullptr;
    } catch (const std::exception &error) {
        return self->say(error.what());
    }
}

const char *tgp_schemas_compile(tgp_schemas *self, const char *uri) {
    try {
        const auto found = self->documents.find(uri);
        if (found == self->documents.end()) return self->say("no such document");
        auto schema = std::make_unique<valijson::Schema>();
        Parser().populateSchema<NlohmannJsonAdapter>(
            NlohmannJsonAdapter(*found->second), *schema,
            [self](const std::string &other) -> const json * {
                const auto document = self->documents.find(other.substr(0, other.find('#')));
                return document == self->documents.end() ? nullptr : document->second.get();
            },
            [](const json *) {});
        self->schemas[uri] = std::move(schema);
        return nullptr;
    } catch (const std::exception &error) {
        return self->say(error.what());
    }
}

bool tgp_schemas_take(tgp_schemas *self, const char *text, size_t count) {
    self->taken = json::parse(text, text + count, nullptr, false);
    return !self->taken.is_discarded();
}

const char *tgp_schemas_check(tgp_schemas *self, const char *uri, const char *key) {
    try {
        const auto schema = self->schemas.find(uri);
        if (schema == self->schemas.end()) return self->say("no such schema");
        static const json empty = json::object();
        const json *target = &self->taken;
        if (key) target = self->taken.is_object() && self->taken.contains(key) ? &self->taken[key] : &empty;
        if (has_long_key(*target)) return self->say("a key is longer than " + std::to_string(longest_key) + " bytes");
        const NlohmannJsonAdapter adapter(*target);
        if (self->validator.validate(*schema->second, adapter, nullptr)) return nullptr;
        // Why not is asked only then: it costs.
        valijson::ValidationResults results;
        self->validator.validate(*schema->second, adapter, &results);
        return self->say(words(results));
    } catch (const std::exception &error) {
        return self->say(error.what());
    }
}
