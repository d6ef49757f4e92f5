import JSON

/// Decides which parts of an event count when two recordings are compared: ids, times and durations differ between two runs that did
/// the same.
struct GoldenRules: Sendable {
    /// The keys that do not count.
    static let usualKeys: Set<String> = [
        // Ids that a run assigns.
        "message_id", "message_ids", "reply_to", "file_id", "file_unique_id", "update_id", "entry", "worker",
        "traceparent", "pts",
        // Times and durations.
        "date", "edit_date", "timestamp", "elapsed_seconds", "retry_after_seconds", "rate_bytes_per_second", "seconds",
        // Places.
        "host", "path",
    ]

    let ignored: Set<String>

    init(ignoring more: [String] = [], keeping kept: [String] = []) {
        ignored = GoldenRules.usualKeys.union(more).subtracting(kept)
        keepsTimes = Set(kept)
    }

    private let keepsTimes: Set<String>

    private func counts(_ key: String) -> Bool {
        if ignored.contains(key) { return false }
        let isTime = key.hasSuffix("_at") || key.hasSuffix("_ms")
        return !isTime || keepsTimes.contains(key)
    }

    /// Returns the parts of a value that count, by their paths, each as JSON text: `payload.chat.id` → `42`.
    func leaves(of value: JSON, at path: String) -> [String: String] {
        var leaves: [String: String] = [:]
        collect(value, path, into: &leaves)
        return leaves
    }

    private func collect(_ value: JSON, _ path: String, into leaves: inout [String: String]) {
        switch value {
        case .object(let object):
            let isSigned = object["url_expires_at"] != nil
            for member in object.members where counts(member.key) {
                let place = "\(path).\(member.key)"
                if isSigned, member.key == "url", let link = member.value.string {
                    // The signature of a link holds a time.
                    leaves[place] = JSON.string(String(link.prefix { $0 != "?" })).text
                } else {
                    collect(member.value, place, into: &leaves)
                }
            }
            if object.members.isEmpty { leaves[path] = "{}" }
        case .array(let items):
            for (index, item) in items.enumerated() { collect(item, "\(path)[\(index)]", into: &leaves) }
            if items.isEmpty { leaves[path] = "[]" }
        default: leaves[path] = value.text
        }
    }
}
