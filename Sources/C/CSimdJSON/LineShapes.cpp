#include "LineShapes.h"

#include <algorithm>

void LineShapes::forget() {
    std::vector<Step>().swap(steps);
    std::vector<std::vector<Found>>().swap(tables);
    credit = -lines_of_rest;
}

/// Returns the step with this text and value after another step, which is added if it is missing; 0 if there is no room for it.
uint32_t LineShapes::follow(uint32_t from, std::string_view text, Kind kind, Role role) {
    uint32_t last = 0;
    for (uint32_t index = steps[from].next; index; index = steps[index].other) {
        Step &step = steps[index];
        if (step.kind == kind && step.role == role && std::string_view(step.text, step.text_count) == text) return index;
        last = index;
    }
    if (steps.size() == most_steps || steps[from].alternatives == most_alternatives) return 0;
    Step step{};
    std::copy(text.begin(), text.end(), step.text);
    step.text_count = uint8_t(text.size());
    step.kind = kind;
    step.role = role;
    uint32_t index = uint32_t(steps.size());
    steps.push_back(step);
    steps[from].alternatives++;
    (last ? steps[last].other : steps[from].next) = index;
    return index;
}

void LineShapes::learn(size_t count) {
    if (values.size() == most_values) return charge(cost_of_learning);
    if (steps.empty()) steps.push_back(Step{});
    values.push_back({Kind::end, Role::none, {start + count, 0}});
    const char *at = start;
    uint32_t index = 0;
    size_t length = 0;
    for (auto &value : values) {
        std::string_view text(at, size_t(value.text.data() - at));
        length += 1 + text.size() / most_text;
        bool has_room = length <= most_path;
        while (has_room && text.size() > most_text) {
            index = follow(index, text.substr(0, most_text), Kind::nothing, Role::none);
            text.remove_prefix(most_text);
            has_room = index != 0;
        }
        if (!has_room) break;
        index = follow(index, text, value.kind, value.role);
        if (!index) break;
        at = value.text.data() + value.text.size();
    }
    if (steps.size() == most_steps) return forget();
    charge(cost_of_learning);
}

/// Finds the place of a position in the line that was recognized last. Returns false if it is within a value.
bool LineShapes::locate(const char *at, Place &place) const {
    auto after = std::upper_bound(begins, begins + path_count, at);
    if (after == begins) return false;
    size_t step = size_t(after - begins) - 1;
    size_t offset = size_t(at - begins[step]);
    if (offset > steps[path[step]].text_count) return false;
    place = {uint16_t(step), uint16_t(offset)};
    return true;
}

void LineShapes::note(const tgp_fields *fields, const tgp_text *values, size_t count) {
    if (noted != fields) {
        noted = fields;
        tables.clear();
        for (auto &step : steps)
            if (step.kind == Kind::end) step.likely = 0;
    }
    std::vector<Found> table;
    for (size_t slot = 0; slot < count; slot++) {
        if (!values[slot].bytes) continue;
        Found found{uint32_t(slot), {}, {}};
        const char *begin = values[slot].bytes;
        if (!locate(begin, found.begin) || !locate(begin + values[slot].count, found.end)) return;
        table.push_back(found);
    }
    tables.push_back(std::move(table));
    steps[path[path_count - 1]].likely = uint32_t(tables.size());
}

bool LineShapes::find(const tgp_fields *fields, tgp_text *values, size_t count) const {
    uint32_t table = steps[path[path_count - 1]].likely;
    if (noted != fields || table == 0) return false;
    for (size_t slot = 0; slot < count; slot++) values[slot] = {nullptr, 0};
    for (auto &found : tables[table - 1]) {
        const char *begin = begins[found.begin.step] + found.begin.offset;
        values[found.slot] = {begin, size_t(begins[found.end.step] + found.end.offset - begin)};
    }
    return true;
}
