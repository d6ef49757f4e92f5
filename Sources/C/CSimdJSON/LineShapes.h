#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "CSimdJSON.h"
#include "QuickScan.h"

/// Remembers the shapes of lines that were found to be envelopes, and recognizes further lines of the same shapes in a third of the time
/// of a walk.
///
/// A shape is all of a line but its values: the keys, the punctuation and the white space. The lines of a stream have few shapes, because
/// programs write them. Shapes with the same beginning share it: they form a tree, with a step for each value.
///
/// A line is recognized only if the walk accepts it, too: a shape comes from a line that the walk has accepted, and the values are
/// checked as the walk checks them. A stream whose lines keep differing is soon left to the walk, so that it costs nothing more.
class LineShapes {
public:
    /// The member of an envelope that a value is.
    enum class Role : uint8_t { none, id, type, version, correlation_id, timestamp };
    enum class Kind : uint8_t {
        string = uint8_t(QuickScan::Scalar::string),
        number = uint8_t(QuickScan::Scalar::number),
        word = uint8_t(QuickScan::Scalar::word),
        /// No value: the text before it goes on in the next step.
        nothing,
        /// The end of the line.
        end,
    };

    struct Value {
        Kind kind;
        Role role;
        std::string_view text;
    };

    /// Returns whether a line has a known shape. It may read `QuickScan::most_read_after` bytes after the line.
    ///
    /// `take` receives each value that has a role, and returns whether it is acceptable.
    template <class Take>
    bool recognize(const char *line, size_t count, Take &&take);

    /// Finds the values at the paths of `fields` in the line that was recognized last. Returns false if nobody has noted yet where they are
    /// in a line of its shape.
    bool find(const tgp_fields *fields, tgp_text *values, size_t count) const;

    /// Notes where the values at the paths of `fields` are in the line that was recognized last. The notes for other fields are forgotten.
    void note(const tgp_fields *fields, const tgp_text *values, size_t count);

    /// Is true if the shape of a line that was not recognized should be learned.
    bool wants_more() const { return credit > 0; }

    /// Begins a line whose values will be added.
    void begin(const char *line) {
        values.clear();
        start = line;
    }
    void add(QuickScan::Scalar kind, Role role, const char *begin, const char *end) {
        if (values.size() < most_values) values.push_back({Kind(kind), role, {begin, size_t(end - begin)}});
    }
    /// Learns the shape of the line that was begun, which the walk has accepted.
    void learn(size_t count);
    /// Tells that the walk has refused the line that was begun, too.
    void give_up() { charge(1); }

private:
    static constexpr size_t most_text = 48;
    static constexpr size_t most_values = 512;
    /// The most steps of one line.
    static constexpr size_t most_path = 768;
    static constexpr uint32_t most_steps = 4096;
    static constexpr uint32_t most_alternatives = 8;
    static constexpr int32_t first_credit = 256, most_credit = 1024, cost_of_learning = 4, lines_of_rest = 4096;

    /// The text between two values, and the value after it.
    struct Step {
        char text[most_text];
        uint8_t text_count;
        Kind kind;
        Role role;
        uint8_t alternatives;
        /// The indices of the first step after this one, and of the next step that may stand in place of this one; 0 for none.
        uint32_t next;
        uint32_t other;
        /// The length of the last string here, which is likely to be that of the next one. At the end of a line, the index of the
        /// places of its values, from 1; 0 for none.
        uint32_t likely;
    };

    /// A place in a line: the number of a step of its path, and the distance from the beginning of the step's text.
    struct Place {
        uint16_t step;
        uint16_t offset;
    };

    struct Found {
        uint32_t slot;
        Place begin;
        Place end;
    };

    /// The steps of the line that was recognized last, and where the text of each began.
    uint32_t path[most_path];
    const char *begins[most_path];
    size_t path_count = 0;
    /// Where the values at the paths of `noted` are, for each shape.
    std::vector<std::vector<Found>> tables;
    const tgp_fields *noted = nullptr;

    /// The first step has no text; the steps after it begin a line.
    std::vector<Step> steps;
    std::vector<Value> values;
    const char *start = nullptr;
    /// Pays for learning. When it is used up, the lines are left to the walk for some time, and the shapes are forgotten.
    int32_t credit = first_credit;

    static bool has_text(const Step &step, const char *at);
    uint32_t follow(uint32_t from, std::string_view text, Kind kind, Role role);
    void forget();
    void charge(int32_t cost) {
        credit -= cost;
        if (credit <= 0) forget();
    }
    bool locate(const char *at, Place &place) const;
};

inline bool LineShapes::has_text(const Step &step, const char *at) {
    uint64_t difference = 0;
    size_t index = 0;
    auto word = [](const char *from) {
        uint64_t value;
        std::memcpy(&value, from, sizeof value);
        return value;
    };
    for (; index + 8 <= step.text_count; index += 8) difference |= word(at + index) ^ word(step.text + index);
    size_t rest = step.text_count - index;
    // Text is padded with zeros, so the bytes behind it are shifted out of the line's.
    if (rest > 0) difference |= (word(at + index) ^ word(step.text + index)) << (8 * (8 - rest));
    return difference == 0;
}

template <class Take>
bool LineShapes::recognize(const char *line, size_t count, Take &&take) {
    using namespace quick_scan;
    if (credit <= 0) {
        if (++credit > 0) credit = first_credit;
        return false;
    }
    if (steps.empty()) return false;
    Step *const all = steps.data();
    const char *text = line, *const end = line + count;
    uint32_t index = all[0].next;
    HighPart high;
    path_count = 0;
    while (text <= end) {
        while (index && !has_text(all[index], text)) index = all[index].other;
        if (!index) return false;
        Step &step = all[index];
        path[path_count] = index;
        begins[path_count] = text;
        const char *value = text + step.text_count, *at = value;
        if (value >= end) {
            if (step.kind != Kind::end || value != end || !high.is_utf8()) return false;
            path_count++;
            if (credit < most_credit) credit++;
            return true;
        }
        switch (step.kind) {
        case Kind::string: {
            at = string_end(value, end, high);
            if (!at) break;
            uint32_t length = uint32_t(at - value);
            if (length == step.likely) {
                // The processor foresees this branch, so that the next step need not wait for the search of the string's end. The
                // compiler must not see that both branches compute the same.
                uint32_t likely = step.likely;
                __asm__("" : "+r"(likely));
                at = value + likely;
            } else {
                step.likely = length;
            }
            break;
        }
        case Kind::number: at = simple_number_end(value); break;
        case Kind::word: at = word_end(value); break;
        case Kind::nothing: break;
        case Kind::end: at = nullptr; break;
        }
        if (!at) {
            // The text of another step may be the beginning of this one's: a number may stand where a string was.
            index = step.other;
            continue;
        }
        if (step.role != Role::none && !take(Value{step.kind, step.role, {value, size_t(at - value)}})) return false;
        path_count++;
        index = step.next;
        text = at;
    }
    return false;
}
