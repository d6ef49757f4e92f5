package import HTTP
package import JSON

/// Sends messages and files to Telegram: as a bot through the Bot API, or as an account.
///
/// Methods, parameters and results are those of the Bot API.
package protocol MessagingAPI: Sendable {
    /// The user id of the bot or account. A file_id is valid for this id only.
    var speakerID: Int64 { get }

    /// Is true if this side is an account, which is not limited to what bots can do.
    var isAccount: Bool { get }

    /// Returns the size of the largest file that can be sent.
    ///
    /// - Throws: `TelegramError` if it depends on the account, and Telegram cannot be asked.
    func uploadLimit() async throws(TelegramError) -> Int64

    /// Calls a method. A call to a group that has become a supergroup goes to the supergroup.
    ///
    /// - Parameters:
    ///   - messageKey: names the message that the call sends. Telegram recognises a second attempt by an account with
    ///     the same key, and does not send the message twice; the Bot API has no such key. Nil for other calls.
    ///   - deadline: the limit for the whole call; a long poll needs more than its own timeout.
    /// - Returns: the answer's `result`.
    func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, deadline: Duration
    ) async throws(TelegramError) -> JSON

    /// Calls a method with files, which are streamed from disk. Of an album, each member of `media` names one by
    /// `attach://FIELD`.
    func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, uploads: [MediaUpload]
    ) async throws(TelegramError) -> JSON

    /// Returns the place of the file that a `file_id` names, and its size if it is known.
    func file(_ fileID: String) async throws(TelegramError) -> (source: FileSource, sizeBytes: Int64?)
}

extension MessagingAPI {
    package var isAccount: Bool { false }

    package func call(
        _ method: String, _ parameters: JSONObject = [:], messageKey: String? = nil
    ) async throws(TelegramError) -> JSON {
        try await call(method, parameters, messageKey: messageKey, deadline: .seconds(30))
    }
}

/// Describes a file that is uploaded with a call.
package struct MediaUpload: Sendable {
    /// The name of the form's part.
    package let field: String
    /// The kind of media that Telegram makes of the file: `photo`, `video`, `animation`, `audio`, `voice` or `document`.
    package let kind: String
    package let fileName: String
    package let contentType: String
    package let content: FileRange
    /// The path of the file whose whole content is `content`.
    package let path: String
    /// Identifies the content, so that an interrupted upload can be continued.
    package let key: String
    /// A small JPEG that Telegram shows until the file is loaded.
    package var preview: Preview?

    package struct Preview: Sendable {
        package let path: String
        package let content: FileRange

        package init(path: String, content: FileRange) { (self.path, self.content) = (path, content) }
    }

    /// - Parameter kind: the kind of media; the field by default.
    package init(
        field: String, kind: String? = nil, fileName: String, contentType: String, content: FileRange, path: String,
        key: String
    ) {
        (self.field, self.kind, self.fileName, self.contentType) = (field, kind ?? field, fileName, contentType)
        (self.content, self.path, self.key) = (content, path, key)
    }
}

/// Says where the bytes of a file are.
package enum FileSource: Sendable {
    /// The URL of the file. It contains the token, and must never be shown.
    case url(String)
    /// The absolute path of a file of a local server.
    case path(String)
    /// Downloads the file to a path of this machine. A partial file of an earlier attempt, `PATH.part`, is continued.
    case download(
        @Sendable (_ path: String, _ onProgress: @escaping @Sendable (Int64) -> Void) async throws(TelegramError) ->
            Void)
}
