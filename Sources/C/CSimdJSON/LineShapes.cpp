#include "LineShapes.h"

#include <algorithm>

void LineShapes::forget() {
    std::vector<Step>().swap(steps);
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
    credit -= cost_of_learning;
    if (values.size() == most_values) return;
    if (steps.empty()) steps.push_back(Step{});
    values.push_back({Kind::end, Role::none, {start + count, 0}});
    const char *at = start;
    uint32_t index = 0;
    for (auto &value : values) {
        std::string_view text(at, size_t(value.text.data() - at));
        bool has_room = true;
        while (has_room && text.size() > most_text) {
            index = follow(index, text.substr(0, most_text), Kind::nothing, Role::none);
            text.remove_prefix(most_text);
            has_room = index != 0;
        }
        if (has_room) index = follow(index, text, value.kind, value.role);
        if (!index) break;
        at = value.text.data() + value.text.size();
    }
    if (credit <= 0 || steps.size() == most_steps) forget();
}
