/// Finds the names that a user may have meant.
package enum SimilarNames {
    /// Returns up to three names that differ in few letters, or that begin with the given letters; the nearest first. Upper and lower
    /// case are the same. Short names must be nearer than long ones: most words of four letters are two changes apart.
    package static func nearest(to name: String, among all: [String]) -> [String] {
        let wanted = Array(name.lowercased().utf8.prefix(64))
        let most = min(3, max(1, wanted.count / 4))
        let close = all.map { name -> (name: String, distance: Int) in
            let letters = Array(name.lowercased().utf8)
            let isBeginning = wanted.count >= 3 && letters.starts(with: wanted)
            return (name, isBeginning ? min(1, letters.count - wanted.count) : distance(wanted, letters))
        }
        let found = close.enumerated().filter { $0.element.distance <= most }
            .sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
        return found.prefix(3).map(\.element.name)
    }

    /// Returns the end of a message that names what may have been meant; empty if nothing is near.
    package static func hint(for name: String, among all: some Sequence<String>) -> String {
        hint(of: nearest(to: name, among: all.sorted()))
    }

    /// Returns the end of a message that names what may have been meant; empty for no names.
    package static func hint(of names: [String]) -> String {
        names.isEmpty ? "" : "; did you mean \(names.joined(separator: " or "))?"
    }

    /// Returns the number of letters to insert, delete or replace, or of neighbours to exchange (optimal string alignment).
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        guard abs(left.count - right.count) <= 16 else { return Int.max }
        var (before, last) = ([Int](), Array(0...right.count))
        for (index, letter) in left.enumerated() {
            var row = [index + 1]
            for (place, other) in right.enumerated() {
                var least = min(last[place] + (other == letter ? 0 : 1), last[place + 1] + 1, row[place] + 1)
                if index > 0, place > 0, letter == right[place - 1], left[index - 1] == other {
                    least = min(least, before[place - 1] + 1)
                }
                row.append(least)
            }
            (before, last) = (last, row)
        }
        return last[right.count]
    }
}
