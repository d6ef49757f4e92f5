import JSON

/// Reads what yt-dlp prints while it downloads; the formats of one video come one after the other.
struct YtDlpProgress {
    static let template =
        "tgpipe-progress %(progress.{status,downloaded_bytes,total_bytes,total_bytes_estimate,speed})j %(info.format_id)s"
    static let pathTemplate = "tgpipe-path %(filepath)j"

    /// Of the finished file.
    private(set) var path: String?
    /// yt-dlp ends well when it stops at `--max-filesize`.
    private(set) var wasTooLarge = false

    private let title: String?
    private let estimatedBytes: Int64?
    private let parser = LineParser()
    private var finishedBytes: Int64 = 0
    private var currentFormat = ""
    private var currentBytes: Int64 = 0

    init(info: VideoInfo) {
        title = info.title
        estimatedBytes = info.estimatedBytes
    }

    /// Takes a line; returns what to report of it.
    mutating func take(_ line: String) -> MediaProgress? {
        if let json = line.dropping("tgpipe-path ") {
            path = parser.parse(json)?.string
        } else if let rest = line.dropping("tgpipe-progress "), let end = rest.lastIndex(of: "}") {
            return takeProgress(parser.parse(rest[...end]), format: String(rest[rest.index(after: end)...]))
        } else if line.contains("File is larger than max-filesize") {
            wasTooLarge = true
        }
        return nil
    }

    private mutating func takeProgress(_ progress: JSON?, format: String) -> MediaProgress? {
        guard let progress else { return nil }
        if format != currentFormat {
            finishedBytes = finishedBytes.addingClamped(currentBytes)
            currentFormat = format
        }
        currentBytes = progress["downloaded_bytes"]?.wholeNumber ?? currentBytes
        let done = finishedBytes.addingClamped(currentBytes)
        let ofFormat = progress["total_bytes"]?.wholeNumber ?? progress["total_bytes_estimate"]?.wholeNumber
        let total = estimatedBytes ?? ofFormat.map { finishedBytes.addingClamped($0) }
        return MediaProgress(
            .downloading, fraction: total.map { $0 > 0 ? min(1, Double(done) / Double($0)) : 0 }, doneBytes: done,
            totalBytes: total.map { max($0, done) }, bytesPerSecond: progress["speed"]?.double, title: title)
    }
}

/// `@unchecked Sendable`: used under the lock of whoever holds it.
private final class LineParser: @unchecked Sendable {
    private let parser = JSONParser()

    func parse(_ text: Substring) -> JSON? {
        var text = String(text)
        return try? text.withUTF8 { try parser.parse(UnsafeRawBufferPointer($0)) }
    }
}

extension JSON {
    /// A number without its decimals.
    fileprivate var wholeNumber: Int64? { int ?? double.flatMap { Int64(exactly: $0.rounded()) } }
}

extension String {
    /// What follows a prefix; nil when it does not begin with it.
    fileprivate func dropping(_ prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}
