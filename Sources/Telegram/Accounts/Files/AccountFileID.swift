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
        withOutline { outline in
            let output = TextBuffer()
            outline.write(to: output, TextBuffer())
            return String(decoding: output.bytes, as: UTF8.self)
        }
    }

    /// The `file_unique_id`: the same for one file, whichever account or message it comes from. It cannot be used to
    /// download the file.
    package var uniqueText: String {
        withOutline { outline in
            let output = TextBuffer()
            outline.writeUnique(to: output)
            return String(decoding: output.bytes, as: UTF8.self)
        }
    }

    private func withOutline<Value>(_ body: (AccountFileOutline) -> Value) -> Value {
        var (reference, thumb) = (fileReference, thumb)
        return reference.withUTF8 { reference in
            thumb.withUTF8 { thumb in
                body(
                    AccountFileOutline(
                        kind: kind, id: id, accessHash: accessHash, fileReference: UnsafeRawBufferPointer(reference),
                        dataCenter: Int64(dataCenter), sizeBytes: sizeBytes, thumb: UnsafeRawBufferPointer(thumb),
                        origin: origin))
            }
        }
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

/// The values of a file id whose texts another owner keeps. Histories have millions of files, so their ids are written
/// without strings of their own.
package struct AccountFileOutline {
    package let kind: AccountFileID.Kind
    package let id: Int64
    package let accessHash: Int64
    package let fileReference: UnsafeRawBufferPointer
    package let dataCenter: Int64
    package var sizeBytes: Int64?
    package var thumb: UnsafeRawBufferPointer
    package let origin: MessageOrigin?

    package init(
        kind: AccountFileID.Kind, id: Int64, accessHash: Int64, fileReference: UnsafeRawBufferPointer,
        dataCenter: Int64, sizeBytes: Int64?, thumb: UnsafeRawBufferPointer, origin: MessageOrigin?
    ) {
        (self.kind, self.id, self.accessHash, self.fileReference) = (kind, id, accessHash, fileReference)
        (self.dataCenter, self.sizeBytes, self.thumb, self.origin) = (dataCenter, sizeBytes, thumb, origin)
    }

    /// Appends the `file_id`.
    ///
    /// - Parameter scratch: other memory, whose content is lost.
    package func write(to output: TextBuffer, _ scratch: TextBuffer) {
        scratch.clear()
        var kind = kind.rawValue
        scratch.put(literal: #"{"kind":""#)
        kind.withUTF8 { scratch.put(UnsafeRawBufferPointer($0)) }
        scratch.put(literal: #"","id":""#)
        scratch.put(integer: id)
        scratch.put(literal: #"","access_hash":""#)
        scratch.put(integer: accessHash)
        scratch.put(literal: #"","file_reference":"#)
        scratch.put(jsonString: fileReference)
        scratch.put(literal: #","dc":"#)
        scratch.put(integer: dataCenter)
        if let sizeBytes {
            scratch.put(literal: #","size":"#)
            scratch.put(integer: sizeBytes)
        }
        if !thumb.isEmpty {
            scratch.put(literal: #","thumb":"#)
            scratch.put(jsonString: thumb)
        }
        if let origin {
            scratch.put(literal: #","chat":"#)
            scratch.put(integer: origin.chatID)
            scratch.put(literal: #","message":"#)
            scratch.put(integer: origin.messageID)
        }
        scratch.put(literal: "}")
        output.put(base64ForURLs: scratch.bytes)
    }

    /// Appends the `file_unique_id`.
    package func writeUnique(to output: TextBuffer) {
        withUnsafeTemporaryAllocation(byteCount: 9 + thumb.count, alignment: 1) { bytes in
            bytes[0] = UInt8(ascii: kind == .photo ? "p" : "d")
            bytes.storeBytes(of: UInt64(bitPattern: id).littleEndian, toByteOffset: 1, as: UInt64.self)
            if !thumb.isEmpty { UnsafeMutableRawBufferPointer(rebasing: bytes[9...]).copyMemory(from: thumb) }
            output.put(base64ForURLs: UnsafeRawBufferPointer(bytes))
        }
    }
}
