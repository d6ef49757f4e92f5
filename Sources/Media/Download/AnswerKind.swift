import HTTP

/// What an answer's head says of its body.
enum AnswerKind {
    /// A file to download.
    case file
    /// A page or a manifest, of which an extractor has to make sense.
    case page

    init(_ head: HTTPHead) {
        let fileExtension = AnswerKind.fileExtension(head.effectiveURL)
        let type = head.contentType ?? ""
        if AnswerKind.pageTypes.contains(type) {
            self = .page
        } else if type.hasPrefix("video/") || type.hasPrefix("audio/") {
            self = .file
        } else if AnswerKind.manifestExtensions.contains(fileExtension) {
            self = .page
        } else if type.isEmpty {
            self = AnswerKind.mediaExtensions.contains(fileExtension) ? .file : .page
        } else {
            self = .file
        }
    }

    /// Whether a URL looks like a media file's, so that an error status is the last word on it.
    static func looksLikeMedia(_ url: String) -> Bool { mediaExtensions.contains(fileExtension(url)) }

    /// Of the last part of the path, in lower case.
    static func fileExtension(_ url: String) -> String {
        let name = url.prefix { $0 != "?" && $0 != "#" }.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: ".") else { return "" }
        return name[name.index(after: dot)...].lowercased()
    }

    private static let pageTypes: Set<String> = [
        "text/html", "application/xhtml+xml", "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl",
        "audio/x-mpegurl", "video/vnd.mpegurl", "application/dash+xml", "video/vnd.mpeg.dash.mpd",
        "application/vnd.ms-sstr+xml", "application/f4m+xml",
    ]
    private static let manifestExtensions: Set<String> = ["m3u8", "mpd", "ism", "f4m"]
    private static let mediaExtensions: Set<String> = [
        "mp4", "m4v", "mov", "webm", "mkv", "avi", "flv", "ts", "mpg", "mpeg", "wmv", "3gp", "ogv", "mp3", "m4a", "aac",
        "ogg",
        "oga", "opus", "flac", "wav", "wma", "weba", "aiff", "amr",
    ]
}
