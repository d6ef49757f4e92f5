import JSON
import MTProto
import TL

extension Connection {
    /// Calls a method for this client's own use, and returns the parsed result.
    ///
    /// - Throws: `TelegramRPCError`, `MTProtoError`, `TLError`.
    func ask(
        _ schema: TLSchema, _ method: String, _ parameters: JSONObject = [:], within patience: Duration = .seconds(30)
    ) async throws -> JSON {
        let request = try schema.request(method, .object(parameters))
        let answer = try await call(request.bytes, within: patience)
        return try JSON(parsing: TLDecoder(schema).json(of: answer, as: request.result))
    }
}
