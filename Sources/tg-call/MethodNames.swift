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
        let word = name.lowercased().split(separator: ".").last
        let same = all.filter { $0.lowercased().split(separator: ".").last == word }
        let close = SimilarNames.nearest(to: name, among: all.filter { !same.contains($0) })
        return Array((same + close).prefix(3))
    }
}
