package import JSON

/// The `file_id` of a file that an account received, as events and caches contain it.
///
/// Bots get file ids from the Bot API. This format is tgpipe's own: base64url of a JSON object with the values that are
/// needed to download the file, to send it again, and to find a new file reference. Only the account that received the
/// file can use it, as only the bot that received a Bot API file id can use that.
package struct AccountFileID: Sendable, Equatable {
    /// The kinds of media, by the Bot API's names.
    package enum Kind: String, Sendable {
        case photo, video, audio, voice, animation, document, sticker
        case videoNote = "video_note"
    }

    package var kind: Kind
    package var id: Int64
    package var accessHash: Int64
    /// The file reference, in base64 with padding (the form of `bytes` in docs/tl.md).
    package var fileReference: String
    package var dataCenter: Int
    /// The size in bytes; nil if it is unknown.
    package var sizeBytes: Int64?
    /// Telegram's letter for the size of a photo; empty for all other kinds.
    package var thumb: String
    /// The message that contains the file; nil if it is unknown.
    package var origin: MessageOrigin?

    package init(
        kind: Kind, id: Int64, accessHash: Int64, fileReference: String, dataCenter: Int, sizeBytes: Int64?,
        thumb: String = "", origin: MessageOrigin?
    ) {
        (self.kind, self.id, self.accessHash, self.fileReference) = (kind, id, accessHash, fileReference)
        (self.dataCenter, self.sizeBytes, self.thumb, self.origin) = (dataCenter, sizeBytes, thumb, origin)
    }

    private enum Key {
        static let kind = "kind"
        static let id = "id"
        static let accessHash = "access_hash"
        static let fileReference = "file_reference"
        static let dataCenter = "dc"
        static let size = "size"
        static let thumb = "thumb"
        static let chat = "chat"
        static let message = "message"
    }

    /// The longest text that is accepted. File references have a few dozen bytes, so real ids are far shorter.
    private static let longestText = 4096

    /// Parses a file id; returns nil for other text, such as a bot's file id.
    package init?(_ text: String) {
        guard text.utf8.count <= AccountFileID.longestText, let bytes = Base64.decodeForURLs(text),
            let json = try? JSON(parsing: bytes), let kind = json[Key.kind]?.string.flatMap(Kind.init),
            let id = json[Key.id]?.long, let accessHash = json[Key.accessHash]?.long,
            let reference = json[Key.fileReference]?.string, Base64.decode(reference) != nil,
            let dataCenter = json[Key.dataCenter]?.int.flatMap({ Int(exactly: $0) }), (1...1000).contains(dataCenter)
        else { return nil }
        let size = json[Key.size]?.int
        guard RemoteFile.isPossible(sizeBytes: size) else { return nil }
        var origin: MessageOrigin?
        if let chat = json[Key.chat]?.int, let message = json[Key.message]?.int {
            origin = MessageOrigin(chatID: chat, messageID: message)
        }
        self.init(
            kind: kind, id: id, accessHash: accessHash, fileReference: reference, dataCenter: dataCenter,
            sizeBytes: size, thumb: json[Key.thumb]?.string ?? "", origin: origin)
    }

    /// The `file_id`. It changes with the file reference and with the message that contains the file.
    package var text: String {
        // Histories have millions of files, so this text is written without a tree of values.
        var json: [UInt8] = []
        json.reserveCapacity(256)
        json.append(literal: "{")
        AccountFileID.append(Key.kind, to: &json) { $0.append(quoted: kind.rawValue) }
        AccountFileID.append(Key.id, to: &json) { $0.append(quoted: "\(id)") }
        AccountFileID.append(Key.accessHash, to: &json) { $0.append(quoted: "\(accessHash)") }
        AccountFileID.append(Key.fileReference, to: &json) { $0.append(quoted: fileReference) }
        AccountFileID.append(Key.dataCenter, to: &json) { $0.append(integer: Int64(dataCenter)) }
        if let sizeBytes { AccountFileID.append(Key.size, to: &json) { $0.append(integer: sizeBytes) } }
        if !thumb.isEmpty { AccountFileID.append(Key.thumb, to: &json) { $0.append(quoted: thumb) } }
        if let origin {
            AccountFileID.append(Key.chat, to: &json) { $0.append(integer: origin.chatID) }
            AccountFileID.append(Key.message, to: &json) { $0.append(integer: origin.messageID) }
        }
        json.append(literal: "}")
        return Base64.encodeForURLs(json, isPadded: false)
    }

    private static func append(_ key: String, to json: inout [UInt8], _ value: (inout [UInt8]) -> Void) {
        if json.count > 1 { json.append(literal: ",") }
        json.append(quoted: key)
        json.append(literal: ":")
        value(&json)
    }

    /// The `file_unique_id`: the same for one file, whichever account or message it comes from. It cannot be used to
    /// download the file.
    package var uniqueText: String {
        let number = UInt64(bitPattern: id)
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        return Base64.encodeForURLs([UInt8(ascii: isPhoto ? "p" : "d")] + bytes + Array(thumb.utf8), isPadded: false)
    }

    private var isPhoto: Bool { kind == .photo }

    /// The file in the form that `Account.download` takes.
    package var remoteFile: RemoteFile {
        let location: JSONObject = [
            "_": isPhoto ? "inputPhotoFileLocation" : "inputDocumentFileLocation", "id": .string("\(id)"),
            "access_hash": .string("\(accessHash)"), "file_reference": .string(fileReference),
            "thumb_size": .string(thumb),
        ]
        return RemoteFile(location: .object(location), dataCenter: dataCenter, sizeBytes: sizeBytes, origin: origin)
    }

    /// An `InputMedia` that sends the file again without an upload.
    package var inputMedia: JSON {
        let file: JSON = .object([
            "_": isPhoto ? "inputPhoto" : "inputDocument", "id": .string("\(id)"),
            "access_hash": .string("\(accessHash)"), "file_reference": .string(fileReference),
        ])
        return .object(["_": isPhoto ? "inputMediaPhoto" : "inputMediaDocument", "id": file])
    }
}

extension [UInt8] {
    /// Appends a JSON string.
    fileprivate mutating func append(quoted text: String) {
        var text = text
        text.withUTF8 { append(jsonString: UnsafeRawBufferPointer($0)) }
    }
}
