package import JSON
import MTProto
package import TL

/// A file reference proves that an account has seen a file. It expires; the message that contained the file has a new
/// one.
///
/// Source: https://core.telegram.org/api/file_reference
enum FileReference {
    static func isRefused(_ error: any Error) -> Bool {
        (error as? TelegramRPCError)?.name.hasPrefix("FILE_REFERENCE_") == true
    }
}

extension RemoteFile {
    /// Returns the same file with a new reference.
    ///
    /// - Parameter call: calls a method of Telegram; returns JSON text of the result.
    /// - Returns: nil if the file's message is unknown, or no longer contains the file.
    /// - Throws: the errors of `call`.
    package func refreshed(
        _ call: @Sendable (_ method: String, _ parameters: JSONObject) async throws -> TLValue
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
        let messages = try await call(method, parameters).json()
        guard let reference = RemoteFile.reference(of: id, in: messages["messages"] ?? .null) else { return nil }
        var (file, location) = (self, location.object ?? [:])
        location["file_reference"] = .string(reference)
        file.location = .object(location)
        return file
    }

    /// Returns the reference of a photo or document, at any depth of a value.
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
