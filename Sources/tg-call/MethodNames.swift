import JSON
import System
import TL

/// Checks method names, and suggests similar ones for names that do not exist.
struct MethodNames {
    private let schema: TLSchema

    init(_ schema: TLSchema) { self.schema = schema }

    /// Checks that the schema has the method.
    ///
    /// - Throws: `ToolError` with exit status 64 and similar names.
    func check(_ method: String) throws(ToolError) {
        guard schema.method(method) == nil else { return }
        throw unknown(method, "no method", among: [])
    }

    /// Returns the error for an unknown name, with similar names.
    ///
    /// - Parameter others: names to suggest besides those of methods.
    func unknown(_ name: String, _ what: String, among others: [String]) -> ToolError {
        let near = nearest(name, among: schema.methodNames + others)
        let layer = schema.layer.map { "layer \($0)" } ?? "the schema"
        let hint =
            near.isEmpty ? "tg-call --list PATTERN finds names" : "did you mean \(near.joined(separator: ", "))?"
        return ToolError(
            .usage, "\(layer) has \(what) named \(JSON.string(String(name.prefix(64))).text); \(hint)")
    }

    /// Returns up to three similar names: first those with the same last word, then those that differ in few letters.
    private func nearest(_ name: String, among all: [String]) -> [String] {
        let wanted = Array(name.lowercased().utf8.prefix(64))
        let word = name.lowercased().split(separator: ".").last
        let same = all.filter { $0.lowercased().split(separator: ".").last == word }
        let most = max(2, wanted.count / 5)
        let close = all.filter { !same.contains($0) }
            .map { (name: $0, distance: MethodNames.distance(wanted, Array($0.lowercased().utf8))) }
            .filter { $0.distance <= most }.sorted { $0.distance < $1.distance }
        return Array((same + close.map(\.name)).prefix(3))
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
