import Envelope
import JSON
import Media
import Payloads

/// Represents a media command, whichever of its types the event has.
struct MediaRequest: Sendable {
    let kind: MediaKind
    let source: DownloadSource
    let variant: MediaVariant
    /// The file of a gallery, if the request is for one; and its title.
    let picture: (file: GalleryFile, title: String?)?
    /// Is true if the command was handed over as a large download; the limit for direct downloads does not apply then.
    let isLarge: Bool
    /// Is true if an earlier stage marked the command as over a limit.
    let isRateLimited: Bool
    let retryAfterSeconds: Int64?
    /// Is true if the request may read pages of the account that the tool is signed in with.
    let readsAccountPages: Bool
    /// The id of the user who asked; nil if it is unknown.
    let userID: Int64?

    /// The types of media commands.
    static let types = MediaDownload.types + [LargeDownload.type]

    /// - Throws: `MalformedInput` if the payload names neither a URL nor a file, or both, if it has a wrong variant, or if
    ///   a large download has no kind.
    init(_ event: Envelope) throws(MalformedInput) {
        isLarge = event.type == LargeDownload.type
        if isLarge {
            let download = try LargeDownload(event)
            (kind, source, variant) = (download.kind, download.source, download.variant)
            picture = nil
        } else {
            let download = try MediaDownload(event)
            (kind, source, variant) = (download.kind, download.source, download.variant)
            picture = download.picture.map { ($0, event.group?.title) }
        }
        isRateLimited = event.isRateLimited
        retryAfterSeconds = event.retryAfterSeconds
        userID = event.actor?.id
        readsAccountPages = event.isOfOperator
    }

    /// Returns the address of the result, for the source's identity.
    func address(_ identity: SourceIdentity) -> ContentAddress { ContentAddress(kind, identity, variant) }
}
