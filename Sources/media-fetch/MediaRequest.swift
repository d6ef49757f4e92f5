import Envelope
import JSON
import Payloads

/// Represents a media command, whichever of its types the event has.
struct MediaRequest: Sendable {
    let kind: MediaKind
    let source: DownloadSource
    /// Is true if the command was handed over as a large download; the limit for direct downloads does not apply then.
    let isLarge: Bool
    /// Is true if an earlier stage marked the command as over a limit.
    let isRateLimited: Bool
    let retryAfterSeconds: Int64?
    /// The id of the user who asked; nil if it is unknown.
    let userID: Int64?

    /// The types of media commands.
    static let types = MediaDownload.types + [LargeDownload.type]

    /// - Throws: `MalformedInput` if the payload names neither a URL nor a file, or both, or if a large download has no kind.
    init(_ event: Envelope) throws(MalformedInput) {
        isLarge = event.type == LargeDownload.type
        if isLarge {
            let download = try LargeDownload(event)
            (kind, source) = (download.kind, download.source)
        } else {
            let download = try MediaDownload(event)
            (kind, source) = (download.kind, download.source)
        }
        isRateLimited = event.isRateLimited
        retryAfterSeconds = event.retryAfterSeconds
        userID = event.actor?.id
    }
}
