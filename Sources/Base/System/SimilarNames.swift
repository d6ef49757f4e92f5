/// Finds the names that a user may have meant.
package enum SimilarNames {
    /// Returns up to three names that differ in few letters, the nearest first. Upper and lower case are the same.
    package static func nearest(to name: String, among all: [String]) -> [String] {
        let wanted = Array(name.lowercased().utf8.prefix(64))
        let most = max(2, wanted.count / 5)
        let close = all.map { (name: $0, distance: distance(wanted, Array($0.lowercased().utf8))) }
            .filter { $0.distance <= most }.sorted { $0.distance < $1.distance }
        return close.prefix(3).map(\.name)
    }

    /// Returns the end of a message that names what may have been meant; empty if nothing is near.
    package static func hint(for name: String, among all: some Sequence<String>) -> String {
        hint(of: nearest(to: name, among: all.sorted()))
    }

    /// Returns the end of a message that names what may have been meant; empty for no names.
    package static func hint(of names: [String]) -> String {
        names.isEmpty ? "" : "; did you mean \(names.joined(separator: " or "))?"
    }

    /// Returns the number of letters to insert, delete or replace (Levenshtein distance).
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        guard abs(left.count - right.count) <= 16 else { return Int.max }
        var row = Array(0...right.count)
        for (index, letter) in left.enumerated() {
            var corner = row[0]
            row[0] = index + 1
            for place in right.indices {
                let changed = corner + (right[place] == letter ? 0 : 1)
                corner = row[place + 1]
                row[place + 1] = min(changed, row[place] + 1, corner + 1)
            }
        }
        return row[right.count]
    }
}
