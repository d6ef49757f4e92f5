import System

/// Compares two recordings request by request, and describes the differences.
struct Comparison {
    private static let shownFields = 20
    private static let shownCharacters = 160

    private(set) var lines: [String] = []
    private(set) var differing = 0

    /// - Parameters:
    ///   - old: the requests that are expected.
    ///   - new: the requests that came.
    init(_ old: [GoldenRequest], _ new: [GoldenRequest]) {
        let (missing, added) = Comparison.difference(old, new, \.text)
        for (before, after) in Comparison.pairs(missing, added, \.firstType) {
            differing += 1
            let shown = before ?? after
            let name = "\(shown?.firstType ?? "") \(shown?.correlationID ?? "")"
            switch (before, after) {
            case (let before?, let after?):
                lines.append("request of \(name) (now \(after.correlationID)):")
                compare(before.events, after.events)
            case (let before?, nil): lines.append("missing request of \(name), events: \(before.events.count)")
            case (nil, let after?): lines.append("new request of \(name), events: \(after.events.count)")
            case (nil, nil): break
            }
        }
    }

    private mutating func compare(_ old: [GoldenEvent], _ new: [GoldenEvent]) {
        let (missing, added) = Comparison.difference(old, new, \.text)
        for (before, after) in Comparison.pairs(missing, added, \.type) {
            if let before, let after, before.type == after.type {
                lines.append("  \(before.type)")
                describe(before.leaves, after.leaves)
            } else {
                if let before { lines.append("  missing: \(Comparison.text(of: before))") }
                if let after { lines.append("  new: \(Comparison.text(of: after))") }
            }
        }
    }

    private mutating func describe(_ old: [String: String], _ new: [String: String]) {
        let paths = Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }.sorted()
        for path in paths.prefix(Comparison.shownFields) {
            lines.append("    \(path.printable): \(Comparison.shown(old[path])), now \(Comparison.shown(new[path]))")
        }
        if paths.count > Comparison.shownFields {
            lines.append("    and \(paths.count - Comparison.shownFields) more fields")
        }
    }

    private static func shown(_ value: String?) -> String {
        guard let value else { return "nothing" }
        let text = value.printable(atMost: shownCharacters)
        return value.unicodeScalars.count > shownCharacters ? text + "…" : text
    }

    private static func text(of event: GoldenEvent) -> String {
        let fields = event.leaves.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return "\(event.type) \(shown(fields.joined(separator: " ")))"
    }

    /// Returns what only one of two lists has. A value that one list has more often counts as often as it is missing.
    private static func difference<Value>(
        _ old: [Value], _ new: [Value], _ key: (Value) -> String
    ) -> (missing: [Value], added: [Value]) {
        var counts: [String: Int] = [:]
        for value in new { counts[key(value), default: 0] += 1 }
        var missing: [Value] = []
        for value in old {
            if let count = counts[key(value)], count > 0 {
                counts[key(value)] = count - 1
            } else {
                missing.append(value)
            }
        }
        // What is left in `counts` was not matched: the last ones of each value.
        var added: [Value] = []
        for value in new.reversed() {
            guard let count = counts[key(value)], count > 0 else { continue }
            counts[key(value)] = count - 1
            added.append(value)
        }
        return (missing, added.reversed())
    }

    /// Puts the values of two lists that have the same key side by side, in order.
    private static func pairs<Value>(
        _ old: [Value], _ new: [Value], _ key: (Value) -> String
    ) -> [(Value?, Value?)] {
        var waiting = Dictionary(grouping: new.indices) { key(new[$0]) }
        var taken: Set<Int> = []
        var pairs: [(Value?, Value?)] = old.map { value in
            guard let index = waiting[key(value)]?.first else { return (value, nil) }
            waiting[key(value)]?.removeFirst()
            taken.insert(index)
            return (value, new[index])
        }
        pairs += new.indices.filter { !taken.contains($0) }.map { (nil, new[$0]) }
        return pairs
    }
}
