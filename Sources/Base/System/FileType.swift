/// Derives the media type of a file from the extension of its name.
package enum FileType {
    package static let unknown = "application/octet-stream"

    private static let types: [String: String] = [
        "mp4": "video/mp4", "m4v": "video/mp4", "mkv": "video/x-matroska", "webm": "video/webm",
        "mov": "video/quicktime",
        "mp3": "audio/mpeg", "m4a": "audio/mp4", "ogg": "audio/ogg", "opus": "audio/ogg", "flac": "audio/flac",
        "wav": "audio/wav", "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif",
        "webp": "image/webp", "pdf": "application/pdf", "zip": "application/zip", "gz": "application/gzip",
        "json": "application/json", "txt": "text/plain; charset=utf-8",
    ]

    /// Returns the media type; `application/octet-stream` for an extension that is not known.
    package static func contentType(of name: String) -> String {
        safeExtension(of: name).flatMap { types[$0] } ?? unknown
    }

    /// The usual extension of each media type that has several.
    private static let usual = ["video/mp4": "mp4", "audio/ogg": "ogg", "image/jpeg": "jpg"]

    /// Returns the usual extension for a media type; nil for a type that is not known.
    package static func fileExtension(ofContentType type: String) -> String? {
        let name = type.prefix { $0 != ";" && $0 != " " }.lowercased()
        return usual[name] ?? types.first { $0.value.prefix { $0 != ";" } == name }?.key
    }

    /// Returns the extension in lower case; nil unless it consists of 1 to 8 ASCII letters and digits.
    package static func safeExtension(of name: String) -> String? {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
        let word = name[name.index(after: dot)...].lowercased()
        let isWord = word.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
        return isWord && (1...8).contains(word.utf8.count) ? word : nil
    }
}
