import Envelope
import JSON
import Media

/// What a media command asks for.
struct MediaRequest: Sendable {
    private static let kinds: [String: MediaKind] = [
        "commands.media.video_download": .video, "commands.media.audio_download": .audio,
    ]
    /// Either, once it was found to be too large to be fetched directly.
    static let largeType = "commands.media.large_download"

    static func accepts(_ type: String) -> Bool { kinds[type] != nil || type == largeType }

    enum Source: Sendable {
        case link(String)
        case telegramFile(TelegramFile)

        /// As a command has it.
        var payload: JSONObject {
            switch self {
            case .link(let link): ["url": .string(link)]
            case .telegramFile(let file): ["file": file.json]
            }
        }
    }

    struct TelegramFile: Sendable {
        let id: String
        let uniqueID: String
        let name: String?
        let sizeBytes: Int64?
        let durationSeconds: Double?
        let title: String?
        let performer: String?
        /// As it came.
        let json: JSON
    }

    let kind: MediaKind
    let source: Source
    /// Whether the limit for direct fetches does not count.
    let isLarge: Bool
    let isRateLimited: Bool
    let retryAfterSeconds: Int64?

    /// - Throws: `MalformedInput` when the payload names neither a link nor a file, or both.
    init(_ event: Envelope) throws(MalformedInput) {
        isLarge = event.type == MediaRequest.largeType
        let named = isLarge ? event.payload["kind"]?.string.flatMap(MediaKind.init) : MediaRequest.kinds[event.type]
        guard let named else {
            if isLarge { throw MalformedInput(.invalidPayload, "\(event.type): kind is neither video nor audio") }
            throw MalformedInput(.unknownType, "\(event.type) is no media command")
        }
        kind = named
        switch (event.payload["url"]?.string, event.payload["file"]) {
        case (let url?, nil): source = .link(url)
        case (nil, let file?):
            guard let id = file["file_id"]?.string, let uniqueID = file["file_unique_id"]?.string else {
                throw MalformedInput(.invalidPayload, "\(event.type): the file has no file_id or no file_unique_id")
            }
            source = .telegramFile(
                TelegramFile(
                    id: id, uniqueID: uniqueID, name: file["file_name"]?.string, sizeBytes: file["file_size"]?.int,
                    durationSeconds: file["duration"]?.double, title: file["title"]?.string,
                    performer: file["performer"]?.string, json: file))
        default: throw MalformedInput(.invalidPayload, "\(event.type): one of url and file is needed")
        }
        isRateLimited = event.meta["rate_limited"] == true
        retryAfterSeconds = event.meta["rate_limit"]?["retry_after_seconds"]?.double.flatMap {
            Int64(exactly: $0.rounded(.up))
        }
    }

    /// The link as it was written; nil for a file of a message.
    var link: String? { if case .link(let link) = source { link } else { nil } }
}
