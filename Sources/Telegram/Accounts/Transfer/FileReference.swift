package import JSON
import MTProto

/// What proves that an account has seen a file; it expires, and the message that the file came with brings a new one.
///
/// Source: https://core.telegram.org/api/file_reference
enum FileReference {
    static func isRefused(_ error: any Error) -> Bool {
        (error as? TelegramRPCError)?.name.hasPrefix("FILE_REFERENCE_") == true
    }
}

extension RemoteFile {
    /// The same file with a new reference.
    ///
    /// - Parameter call: a method of Telegram and its parameters, to its result.
    /// - Returns: nil when the message does not have the file (any more), or is not known.
    /// - Throws: what `call` does.
    package func refreshed(
        _ call: @Sendable (_ method: String, _ parameters: JSONObject) async throws -> [UInt8]
    ) async throws -> RemoteFile? {
        guard let origin, let id = location["id"]?.long else { return nil }
        var parameters: JSONObject = [
            "id": .array([.object(["_": "inputMessageID", "id": .integer(origin.messageID)])])
        ]
        var method = "messages.getMessages"
        if case .channel = PeerID(botAPI: origin.chatID) {
            method = "channels.getMessages"
            parameters["channel"] = .integer(origin.chatID)
        }
        let messages = try JSON(parsing: try await call(method, parameters))
        guard let reference = RemoteFile.reference(of: id, in: messages["messages"] ?? .null) else { return nil }
        var (file, location) = (self, location.object ?? [:])
        location["file_reference"] = .string(reference)
        file.location = .object(location)
        return file
    }

    /// The reference of a photo or document, wherever in a value it is.
    private static func reference(of id: Int64, in value: JSON) -> String? {
        switch value {
        case .array(let elements):
            return elements.lazy.compactMap { reference(of: id, in: $0) }.first
        case .object(let object):
            if object["id"]?.long == id, let reference = object["file_reference"]?.string { return reference }
            return object.members.lazy.compactMap { reference(of: id, in: $0.value) }.first
        default: return nil
        }
    }
}
