import JSON
import System

/// What is to be called, as it comes in: JSON from strangers.
enum CallInput {
    /// Of the parameters of one call.
    static let maxBytes = 8 << 20

    static let tooLong = ToolError(
        .malformedInput, "the parameters of a call have \(maxBytes >> 20) MiB at most")

    /// - Parameter what: names the text when it is no object.
    static func object(_ text: [UInt8], _ what: String) throws(ToolError) -> JSONObject {
        let json: JSON
        do throws(MalformedInput) { json = try JSON(parsing: text) } catch {
            throw ToolError(.malformedInput, "\(what): \(error.reason)")
        }
        guard let object = json.object else { throw ToolError(.malformedInput, "\(what): not a JSON object") }
        return object
    }

    /// Lines that are not empty; nil for one that is too long.
    static func lines(_ read: [LineSplitter.Output]) -> [Line?] {
        read.flatMap { output -> [Line?] in
            switch output {
            case .lines(let block): block.lines.filter { !$0.range.isEmpty }.map { $0 }
            case .tooLong: [nil]
            }
        }
    }

    static func joined(_ read: [LineSplitter.Output]) throws(ToolError) -> [UInt8] {
        var text: [UInt8] = []
        for line in lines(read) {
            guard let line else { throw tooLong }
            text += line.bytes + [UInt8(ascii: "\n")]
        }
        return text
    }
}

/// A line of `--each`: `{"id": …, "method": …, "params": {…}}`.
struct CallOrder {
    let method: String
    let parameters: JSONObject

    init(_ request: JSONObject) throws(ToolError) {
        guard let method = request["method"]?.string else {
            throw ToolError(.malformedInput, "the line has no method")
        }
        if let other = request.members.first(where: { !["id", "method", "params"].contains($0.key) }) {
            let key = JSON.string(String(other.key.prefix(64))).text
            throw ToolError(.malformedInput, "the line has a key that means nothing: \(key)")
        }
        let given = request["params"] ?? .object([:])
        guard let parameters = given.object else { throw ToolError(.malformedInput, "params is no object") }
        (self.method, self.parameters) = (method, parameters)
    }
}
