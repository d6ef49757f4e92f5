package import Envelope
package import JSON

/// Names what a media command asks for.
package enum DownloadSource: Sendable, Hashable {
    /// The URL as the user wrote it.
    case url(String)
    /// A file of a message.
    case file(TelegramFile)

    init(_ reader: inout PayloadReader, type: String) throws(MalformedInput) {
        switch (reader.string("url"), reader.take("file") { $0.isNull ? nil : $0 }) {
        case (let url?, nil): self = .url(url)
        case (nil, let json?):
            guard let file = TelegramFile(json) else {
                throw MalformedInput(.invalidPayload, "\(type): the file has no file_id or no file_unique_id")
            }
            self = .file(file)
        default: throw MalformedInput(.invalidPayload, "\(type): one of url and file is needed")
        }
    }

    /// The one member of a payload that names the source.
    package var json: JSONObject {
        switch self {
        case .url(let url): ["url": .string(url)]
        case .file(let file): ["file": file.json]
        }
    }

    /// The URL as the user wrote it; nil for a file of a message.
    package var url: String? { if case .url(let url) = self { url } else { nil } }
}

/// Requests the video, the audio or the pictures of a source: `commands.media.video_download`, `commands.media.audio_download` and
/// `commands.media.image_download`.
package struct MediaDownload: EventPayload {
    private static let typesOfKinds: KeyValuePairs<MediaKind, String> = [
        .video: "commands.media.video_download", .audio: "commands.media.audio_download",
        .image: "commands.media.image_download",
    ]

    package static let types = typesOfKinds.map(\.value)

    package var kind: MediaKind
    package var source: DownloadSource
    package var variant: MediaVariant
    /// Tells whether the person is to be asked for the variant; nil if the command does not say. A stage such as media-ask asks, and
    /// media-fetch does not.
    package var asks: Bool?
    /// The wanted videos of the list that the link leads to; a stage such as media-expand makes a request for each of them.
    package var items: ItemRange?
    /// The file at the place `variant.item` of a gallery, if the request is for a picture and a list has told it.
    package var picture: GalleryFile?

    package init(
        kind: MediaKind, source: DownloadSource, variant: MediaVariant = .standard, asks: Bool? = nil,
        items: ItemRange? = nil
    ) {
        self.kind = kind
        self.source = source
        self.variant = variant
        self.asks = asks
        self.items = items
    }

    /// - Throws: `MalformedInput` if the type is another, or the payload names neither a URL nor a file, or both.
    package init(_ payload: JSONObject, type: String) throws(MalformedInput) {
        guard let kind = MediaDownload.kind(of: type) else {
            throw MalformedInput(.unknownType, "\(type) is not a media command")
        }
        self.kind = kind
        var reader = PayloadReader(payload)
        source = try DownloadSource(&reader, type: type)
        variant = try MediaVariant(payload["variant"], type: type).of(kind)
        asks = reader.bool("ask")
        items = try ItemRange(payload["items"], type: type)
        picture = kind == .image ? GalleryFile(payload["picture"]) : nil
    }

    /// Returns the kind that a command's type asks for; nil for other types.
    package static func kind(of type: String) -> MediaKind? { typesOfKinds.first { $0.value == type }?.key }

    package static func type(of kind: MediaKind) -> String {
        switch kind {
        case .video: "commands.media.video_download"
        case .audio: "commands.media.audio_download"
        case .image: "commands.media.image_download"
        }
    }

    package var type: String { MediaDownload.type(of: kind) }

    package var json: JSONObject {
        var json = source.json
        json["variant"] = variant.json
        json["ask"] = asks.map { .bool($0) }
        json["items"] = items?.json
        json["picture"] = picture?.json
        return json
    }
}

/// Hands a download that exceeds the limit for direct downloads to a separate worker: `commands.media.large_download`.
package struct LargeDownload: EventPayload {
    package static let type = "commands.media.large_download"
    package static let types = [type]

    package var kind: MediaKind
    package var source: DownloadSource
    package var variant: MediaVariant
    package var sizeBytes: Int64?
    /// The limit for direct downloads, which this download exceeds.
    package var limitBytes: Int64?

    package init(
        kind: MediaKind, source: DownloadSource, variant: MediaVariant = .standard, sizeBytes: Int64?,
        limitBytes: Int64?
    ) {
        self.kind = kind
        self.source = source
        self.variant = variant
        self.sizeBytes = sizeBytes
        self.limitBytes = limitBytes
    }

    /// - Throws: `MalformedInput` if there is no kind, or the payload names neither a URL nor a file, or both.
    package init(_ payload: JSONObject, type: String) throws(MalformedInput) {
        var reader = PayloadReader(payload)
        guard let kind = reader.string("kind").flatMap(MediaKind.init) else {
            throw MalformedInput(.invalidPayload, "\(type): kind is none of video, audio and image")
        }
        self.kind = kind
        source = try DownloadSource(&reader, type: type)
        variant = try MediaVariant(payload["variant"], type: type).of(kind)
        sizeBytes = reader.integer("size_bytes")
        limitBytes = reader.integer("limit_bytes")
    }

    package var type: String { LargeDownload.type }

    package var json: JSONObject {
        var json = source.json
        json["kind"] = .string(kind.rawValue)
        json["variant"] = variant.json
        json["size_bytes"] = JSON(sizeBytes)
        json["limit_bytes"] = JSON(limitBytes)
        return json
    }
}

/// Cancels requests for media: `commands.media.cancel`.
package struct MediaCancel: EventPayload {
    package static let type = "commands.media.cancel"
    package static let types = [type]

    /// Names the requests.
    package enum Requests: Sendable, Hashable {
        /// Names the requests of one correlation.
        case correlation(EventID)
        /// Names the requests that came from one message.
        case message(id: Int64, chatID: Int64)
    }

    package var requests: Requests

    package init(_ requests: Requests) { self.requests = requests }

    /// - Throws: `MalformedInput` if the payload names neither a correlation nor a message with its chat, or both.
    package init(_ payload: JSONObject, type: String) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        let correlation = try reader.strict("correlation_id") { $0.string.flatMap { EventID($0) } }
        let (chatID, messageID) = (try reader.strict("chat_id", \.long), try reader.messageID("message_id"))
        switch (correlation, chatID, messageID) {
        case (let id?, nil, nil): requests = .correlation(id)
        case (nil, let chatID?, let messageID?): requests = .message(id: messageID, chatID: chatID)
        default:
            throw MalformedInput(
                .invalidPayload, "\(type): either correlation_id, or chat_id and message_id are needed")
        }
    }

    package var type: String { MediaCancel.type }

    package var json: JSONObject {
        switch requests {
        case .correlation(let id): ["correlation_id": .string(id.description)]
        case .message(let id, let chatID): ["chat_id": .integer(chatID), "message_id": .integer(id)]
        }
    }
}

/// Manages the cookies that sites have: `commands.media.cookies`.
package struct MediaCookies: EventPayload {
    package static let type = "commands.media.cookies"
    package static let types = [type]
    /// The largest file of cookies that is taken.
    package static let maxBytes: Int64 = 1 << 20

    package enum Action: Sendable, Hashable {
        /// Lists the sites that can have cookies, with the age and the expiry of these.
        case list
        /// Takes the cookies of a file; `messageID` is the message with the file, which is deleted.
        case store(TelegramFile, messageID: Int64?)
        /// Removes the cookies of a site.
        case forget(site: String)
    }

    package var action: Action

    package init(_ action: Action) { self.action = action }

    /// - Throws: `MalformedInput` for an unknown action, and if the file or the site is missing.
    package init(_ payload: JSONObject, type: String) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        let file = reader.take("file") { $0.isNull ? nil : TelegramFile($0) }
        let messageID = try reader.messageID("message_id")
        switch (reader.string("action"), file, reader.string("site")) {
        case ("list", _, _): action = .list
        case ("store", let file?, _): action = .store(file, messageID: messageID)
        case ("forget", _, let site?): action = .forget(site: site)
        default:
            throw MalformedInput(
                .invalidPayload, "\(type): the action is list, store with a file, or forget with a site")
        }
    }

    package var type: String { MediaCookies.type }

    package var json: JSONObject {
        switch action {
        case .list: ["action": "list"]
        case .store(let file, let messageID):
            ["action": "store", "file": file.json, "message_id": JSON(messageID)]
        case .forget(let site): ["action": "forget", "site": .string(site)]
        }
    }
}
