import JSON
import System

/// Reads calls from JSON text, which may be malformed.
enum CallInput {
    /// The most bytes that the parameters of one call may have.
    static let maxBytes = 8 << 20

    static let tooLong = ToolError(
        .malformedInput, "the parameters of a call may have at most \(maxBytes >> 20) MiB")

    /// Parses a JSON object.
    ///
    /// - Parameter what: the name of the text, for errors.
    /// - Throws: `ToolError`, exit status 65.
    static func object(_ text: [UInt8], _ what: String) throws(ToolError) -> JSONObject {
        let json: JSON
        do throws(MalformedInput) { json = try JSON(parsing: text) } catch {
            throw ToolError(.malformedInput, "\(what): \(error.reason)")
        }
        guard let object = json.object else { throw ToolError(.malformedInput, "\(what): not a JSON object") }
        return object
    }

    /// Returns the lines that are not empty, and nil in place of each line that is too long.
    static func lines(_ read: [LineSplitter.Output]) -> [Line?] {
        read.flatMap { output -> [Line?] in
            switch output {
            case .lines(let block): block.lines.filter { !$0.range.isEmpty }.map { $0 }
            case .tooLong: [nil]
            }
        }
    }

    /// Returns the lines as one text.
    static func joined(_ read: [LineSplitter.Output]) throws(ToolError) -> [UInt8] {
        var text: [UInt8] = []
        for line in lines(read) {
            guard let line else { throw tooLong }
            text += line.bytes + [UInt8(ascii: "\n")]
        }
        return text
    }
}

/// The call on a line of `--each`: `{"id": …, "method": …, "params": {…}}`.
struct CallRequest {
    let method: String
    let parameters: JSONObject

    /// - Throws: `ToolError`, exit status 65, when a key is missing, unknown or of the wrong type.
    init(_ request: JSONObject) throws(ToolError) {
        guard let method = request["method"]?.string else {
            throw ToolError(.malformedInput, "the line has no method")
        }
        if let other = request.members.first(where: { !["id", "method", "params"].contains($0.key) }) {
            let key = JSON.string(String(other.key.prefix(64))).text
            throw ToolError(.malformedInput, "the line has an unknown key: \(key)")
        }
        let given = request["params"] ?? .object([:])
        guard let parameters = given.object else { throw ToolError(.malformedInput, "params is not an object") }
        (self.method, self.parameters) = (method, parameters)
    }
}
