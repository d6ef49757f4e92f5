import Payloads
import System

/// Names the kind of a finished file: its content type and the extension of its name.
struct FileKind: Sendable {
    let contentType: String
    let fileExtension: String?
    /// Is true if a name that has an extension keeps it.
    let keepsName: Bool

    init(_ contentType: String?, fileExtension: String?, keepsName: Bool = false) {
        self.contentType = contentType ?? "application/octet-stream"
        self.fileExtension = fileExtension
        self.keepsName = keepsName
    }

    /// Returns a safe name for a file of this kind.
    ///
    /// - Parameter name: the name that the file had, or its title.
    func fileName(from name: String?, fallback: String) -> String {
        guard keepsName else {
            return FileName.make(name, fallback: fallback, fileExtension: fileExtension ?? "bin")
        }
        let kept = name.flatMap { FileName.safe($0, maxBytes: 120) } ?? fallback
        guard let fileExtension, FileName.stem(kept) == kept else { return kept }
        return "\(kept).\(fileExtension)"
    }
}

extension MediaVariant.AudioFormat {
    var contentType: String {
        switch self {
        case .mp3: "audio/mpeg"
        case .m4a: "audio/mp4"
        case .opus: "audio/ogg"
        }
    }
}
