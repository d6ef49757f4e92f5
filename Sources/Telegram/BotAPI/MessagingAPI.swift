package import HTTP
package import JSON

/// Telegram's messages and files, whoever speaks: a bot through the Bot API, or an account.
///
/// Methods, parameters and results are those of the Bot API.
package protocol MessagingAPI: Sendable {
    /// The user id of whoever speaks: what is known of chats and files is known to nobody else.
    var speakerID: Int64 { get }

    /// Calls a method. What is for a group that has become a supergroup goes there.
    ///
    /// - Parameter deadline: for the whole call; a long poll needs more than its own timeout.
    /// - Returns: the answer's `result`.
    func call(_ method: String, _ parameters: JSONObject, deadline: Duration) async throws(TelegramError) -> JSON

    /// Calls a method with a file, which streams from disk.
    func call(
        _ method: String, _ parameters: JSONObject, upload: MediaUpload,
        onProgress: (@Sendable (_ sentBytes: Int64) -> Void)?
    ) async throws(TelegramError) -> JSON

    /// Where the bytes behind a `file_id` are.
    func file(_ fileID: String) async throws(TelegramError) -> (source: FileSource, sizeBytes: Int64?)
}

extension MessagingAPI {
    package func call(_ method: String, _ parameters: JSONObject = [:]) async throws(TelegramError) -> JSON {
        try await call(method, parameters, deadline: .seconds(30))
    }

    package func call(
        _ method: String, _ parameters: JSONObject, upload: MediaUpload
    ) async throws(TelegramError) -> JSON {
        try await call(method, parameters, upload: upload, onProgress: nil)
    }
}

/// A file that goes with a call.
package struct MediaUpload: Sendable {
    package let field: String
    package let fileName: String
    package let contentType: String
    package let content: FileRange
    /// The file that `content` is all of.
    package let path: String
    /// The same for the same content, so that an upload that was cut off can be gone on with.
    package let key: String

    package init(field: String, fileName: String, contentType: String, content: FileRange, path: String, key: String) {
        (self.field, self.fileName, self.contentType) = (field, fileName, contentType)
        (self.content, self.path, self.key) = (content, path, key)
    }
}

/// Where a file's bytes are.
package enum FileSource: Sendable {
    /// Holds the token: never to be shown.
    case url(String)
    /// A local server's absolute path.
    case path(String)
    /// They have to be brought over, to a path of this machine; what an attempt before has left at `PATH.part` is gone on with.
    case download(
        @Sendable (_ path: String, _ onProgress: @escaping @Sendable (Int64) -> Void) async throws(TelegramError) ->
            Void)
}
