import Envelope
import JSON
import Payloads

/// Holds what an event tells of a stored object, and of the message that uses it.
struct StoredMedia: Sendable {
    let store: String
    let key: String
    var kind: String?
    var sizeBytes: Int64?
    var sha256: String?
    var contentType: String?
    var fileName: String?
    var title: String?
    var sourceURL: String?
    /// The message that uses the object: the one that the media come from, or else the request; 0 without one.
    var chatID: Int64 = 0
    var messageID: Int64 = 0
    var userID: Int64?

    /// Longer names cannot be in an index.
    private static let mostNameBytes = 1024

    /// Reads `events.dl.*.ready` or `events.blob.stored`; returns nil if it names no object of a store.
    init?(_ event: Envelope) {
        do throws(MalformedInput) {
            // The parts of a video are files of one machine.
            guard event.meta["group"]?["part"] == nil else { return nil }
            try self.init(reading: event)
        } catch {
            return nil
        }
    }

    private init?(reading event: Envelope) throws(MalformedInput) {
        let content: FileContent
        if event.type == BlobStored.type {
            let stored = try BlobStored(event)
            (store, key, content) = (stored.store, stored.key, stored.content)
        } else {
            let ready = try DownloadReady(event)
            guard let place = ready.store else { return nil }
            (store, key, content) = (place, ready.storedKey, ready.metadata.content)
            kind = ready.kind?.rawValue
            fileName = ready.metadata.fileName?.storable
            title = ready.metadata.description.title?.storable
            sourceURL = ready.metadata.origin.sourceURL?.storable
        }
        try StoredMedia.check(store, key)
        sizeBytes = content.sizeBytes
        sha256 = content.sha256?.storable
        contentType = content.contentType?.storable
        if let source = event.source {
            (chatID, messageID) = (source.chatID, source.messageID)
        } else if case .id(let id)? = event.origin?.chat {
            (chatID, messageID) = (id, event.origin?.messageID ?? 0)
        }
        userID = event.actor?.id
    }

    /// - Throws: `MalformedInput` for an object that no store can have.
    static func check(_ store: String, _ key: String) throws(MalformedInput) {
        for name in [store, key] {
            guard !name.isEmpty, name.utf8.count <= mostNameBytes, !name.utf8.contains(0) else {
                throw MalformedInput(
                    .invalidPayload, "store and key must have 1 to \(mostNameBytes) bytes, and none of them zero")
            }
        }
    }
}

/// Holds what an event tells of an object, and the time of the event.
struct MediaNote: Sendable {
    let store: String
    let key: String
    /// The object; nil if it was removed.
    let media: StoredMedia?
    /// In microseconds since 1970.
    let time: Int64
}

extension String {
    /// The text as PostgreSQL takes it, which stores no NUL.
    package var storable: String {
        utf8.contains(0) ? replacing("\0", with: "\u{FFFD}") : self
    }
}
