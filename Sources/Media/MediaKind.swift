/// What somebody asked for.
package enum MediaKind: String, Sendable, CaseIterable {
    case video
    case audio

    /// Of the objects of this kind in storage, without the dot.
    package var fileExtension: String {
        switch self {
        case .video: "mp4"
        case .audio: "mp3"
        }
    }
}
