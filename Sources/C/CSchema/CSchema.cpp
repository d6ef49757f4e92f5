#include "CSchema.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
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

// The library's regular expressions call themselves for every character, so patterns are not applied to longer strings. Threads that
// check documents have the stack for these.
constexpr unsigned most_matched = 16384;
constexpr size_t longest_key = 1024;
// Longer than every date and time with a fraction of a second.
constexpr unsigned longest_time = 64;
// 2^63: whole numbers from here on are doubles.
constexpr double smallest_double = 0x1p63;

using Documents = std::map<std::string, std::shared_ptr<json>>;

// Resolves a reference as RFC 3986 does, as far as schemas need it; the result has no fragment.
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

// The library ignores `$id` and resolves no relative references, so references are made absolute before it sees them.
class Parser : public valijson::SchemaParser {
public:
    Parser() : valijson::SchemaParser(valijson::SchemaParser::kDraft7) {}

    opt::optional<std::string> resolveDocumentUri(
        const opt::optional<std::string> &scope, const opt::optional<std::string> &document) override {
        return document ? document : scope;
    }
};

// Adds a schema that must hold too.
void require(json &schema, json other) {
    if (!schema.contains("allOf")) schema["allOf"] = json::array();
    if (schema["allOf"].is_array()) schema["allOf"].push_back(std::move(other));
}

// Every `pattern` is applied only to strings that are short enough.
void limit_pattern(json &schema) {
    const auto found = schema.find("pattern");
    if (found == schema.end() || !found->is_string()) return;
    const json limited = {{"if", {{"maxLength", most_matched}}}, {"then", {{"pattern", *found}}}};
    schema.erase(found);
    require(schema, limited);
}

// The library applies `format` to every type, with regular expressions that call themselves for each digit, and knows no leap years.
void limit_format(json &schema) {
    const auto found = schema.find("format");
    if (found == schema.end() || !found->is_string()) return;
    const std::string name = found->get<std::string>();
    const bool has_date = name == "date" || name == "date-time";
    schema.erase(found);
    // The library checks no other format.
    if (!has_date && name != "time") return;
    json checks = json::array({{{"format", name}}, {{"pattern", "^[^|]*$"}}});
    if (has_date) {
        checks.push_back({{"pattern", "^[0-9]{4}-"}});
        const json leap = {
            {"pattern", "^[0-9]{2}(0[48]|[2468][048]|[13579][26])-|^([02468][048]|[13579][26])00-"}};
        checks.push_back({{"anyOf", {{{"not", {{"pattern", "^[0-9]{4}-02-29"}}}}, leap}}});
    }
    require(
        schema, {{"if", {{"type", "string"}}},
                 {"then", {{"if", {{"maxLength", longest_time}}}, {"then", {{"allOf", checks}}}, {"else", {{"maxLength", longest_time}}}}}});
}

// The library divides whole by whole: it would cut off the fraction of a value, and divide by zero.
void limit_divisor(json &schema) {
    const auto found = schema.find("multipleOf");
    if (found == schema.end() || !found->is_number()) return;
    const json divisor = *found;
    if (!(divisor.get<double>() > 0)) throw std::runtime_error("multipleOf must be greater than 0");
    schema.erase(found);
    const json is_number = {{"type", "number"}}, is_whole = {{"type", "integer"}};
    const json any = {{"if", is_number}, {"then", {{"multipleOf", divisor.get<double>()}}}};
    require(
        schema, divisor.is_number_integer() ? json{{"if", is_whole}, {"then", {{"multipleOf", divisor}}}, {"else", any}} : any);
}

// Numbers beyond 64 bits are whole numbers too.
void widen_integer(json &schema) {
    const auto found = schema.find("type");
    if (found == schema.end()) return;
    const bool is_list = found->is_array();
    if (is_list ? std::find(found->begin(), found->end(), "integer") == found->end() : *found != "integer") return;
    const json type = *found;
    schema.erase(found);
    require(
        schema, {{"anyOf",
                  {{{"type", type}},
                   {{"type", "number"}, {"minimum", smallest_double}},
                   {{"type", "number"}, {"maximum", -smallest_double}}}}});
}

// The library takes counts as 64-bit integers.
void limit_counts(json &schema) {
    for (const char *name : {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}) {
        const auto found = schema.find(name);
        if (found == schema.end() || !found->is_number_float()) continue;
        if (found->get<double>() >= smallest_double) *found = std::numeric_limits<int64_t>::max();
    }
}

// Makes one number of each value, as JSON Schema compares them: a whole number that fits into 64 bits with a sign is an integer, all
// others are doubles. The library would read larger ones as negative, and 1.0 as no integer.
void normalize_numbers(json &value) {
    if (value.is_structured()) {
        for (auto &member : value) normalize_numbers(member);
    } else if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max())) {
        value = double(value.get<uint64_t>());
    } else if (value.is_number_float()) {
        const double number = value.get<double>();
        if (std::trunc(number) == number && std::fabs(number) < smallest_double) value = int64_t(number);
    }
}

void prepare(json &schema, std::string base, Documents &documents) {
    if (schema.is_array()) {
        for (auto &item : schema) prepare(item, base, documents);
    }
    if (!schema.is_object()) return;
    const auto reference = schema.find("$ref");
    const bool refers = reference != schema.end() && reference->is_string();
    const auto id = schema.find("$id");
    // Draft 7 ignores all members beside a reference.
    const bool is_named =
        !refers && id != schema.end() && id->is_string() && (*id).get_ref<const std::string &>()[0] != '#';
    if (is_named) base = resolved(base, id->get<std::string>());
    for (auto &[name, value] : schema.items()) {
        if (name == "properties" || name == "patternProperties" || name == "definitions" || name == "dependencies") {
            // These hold schemas under any name.
            if (value.is_object()) {
                for (auto &member : value) prepare(member, base, documents);
            }
        } else if (name != "const" && name != "enum" && name != "examples" && name != "default") {
            // The others are compared with values, and hold no schemas.
            prepare(value, base, documents);
        }
    }
    if (refers) {
        const auto text = reference->get<std::string>();
        const size_t fragment = text.find('#');
        *reference = resolved(base, text) + (fragment == std::string::npos ? "#" : text.substr(fragment));
        return;
    }
    limit_pattern(schema);
    limit_format(schema);
    limit_divisor(schema);
    limit_counts(schema);
    widen_integer(schema);
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
    // The documents by $id and by uri.
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
        normalize_numbers(*document);
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
    if (self->taken.is_discarded()) return false;
    normalize_numbers(self->taken);
    return true;
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
        // The reasons take longer, so they are collected only now.
        valijson::ValidationResults results;
        self->validator.validate(*schema->second, adapter, &results);
        return self->say(words(results));
    } catch (const std::exception &error) {
        return self->say(error.what());
    }
}
