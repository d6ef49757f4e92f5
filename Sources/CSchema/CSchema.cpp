#include "CSchema.h"

#include <exception>
#include <map>
#include <memory>
#include <new>
#include <string>

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

// References are resolved against the document's place, as URIs are.
class Parser : public valijson::SchemaParser {
public:
    Parser() : valijson::SchemaParser(valijson::SchemaParser::kDraft7) {}

    opt::optional<std::string> resolveDocumentUri(
        const opt::optional<std::string> &scope, const opt::optional<std::string> &document) override {
        if (!scope || !document || document->find("://") != std::string::npos || document->compare(0, 4, "urn:") == 0) {
            return document ? document : scope;
        }
        if (document->empty()) return scope;
        const size_t root = scope->find("://") == std::string::npos ? 0 : scope->find('/', scope->find("://") + 3);
        if ((*document)[0] == '/') return scope->substr(0, root) + *document;
        return scope->substr(0, scope->find_last_of('/') + 1) + *document;
    }
};

// Every `pattern` is asked only of strings that are short enough: {"anyOf": [{"minLength": …}, {"pattern": …}]} stops at the first.
void limit_patterns(json &schema) {
    if (schema.is_array()) {
        for (auto &item : schema) limit_patterns(item);
    }
    if (!schema.is_object()) return;
    for (auto &[name, value] : schema.items()) {
        // What is compared with values is no schema.
        if (name != "const" && name != "enum" && name != "examples" && name != "default") limit_patterns(value);
    }
    const auto found = schema.find("pattern");
    if (found == schema.end() || !found->is_string()) return;
    const json limited = {{"anyOf", {{{"minLength", most_matched + 1}}, {{"pattern", *found}}}}};
    schema.erase(found);
    if (!schema.contains("allOf")) schema["allOf"] = json::array();
    if (schema["allOf"].is_array()) schema["allOf"].push_back(limited);
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
    std::map<std::string, std::shared_ptr<json>> documents;
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
        limit_patterns(*document);
        self->documents[uri] = document;
        if (document->is_object() && document->contains("$id") && (*document)["$id"].is_string()) {
            const auto id = (*document)["$id"].get<std::string>();
            self->documents[id.substr(0, id.find('#'))] = document;
        }
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
