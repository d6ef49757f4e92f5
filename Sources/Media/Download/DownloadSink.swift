import HTTP
import JSON

/// Takes one answer of the server into the partial file.
///
/// `@unchecked Sendable`: called on the client's thread during the request, read by the download after it.
final class DownloadSink: @unchecked Sendable {
    enum Verdict {
        case complete
        case page
        /// What is on disk is no beginning of what the server has now.
        case startOver
        case failed(MediaError)
    }

    private let partial: PartialFile
    private let limits: DirectDownload
    private let onProgress: ProgressHandler
    private var meter = RateMeter()
    /// Set when the head alone decides.
    private var verdict: Verdict?

    init(_ partial: PartialFile, limits: DirectDownload, _ onProgress: @escaping ProgressHandler) {
        self.partial = partial
        self.limits = limits
        self.onProgress = onProgress
    }

    /// After the request ended without an error.
    var verdictAtEnd: Verdict {
        if let verdict { return verdict }
        if let total = partial.source.totalBytes, total != partial.size {
            return .failed(MediaError(.truncated, "The site broke off before the end of the file."))
        }
        return .complete
    }

    func takeHead(_ head: HTTPHead) throws -> HeadDecision {
        switch head.status {
        case 206: try takeContinuation(head)
        case 416 where partial.size > 0: takeUnsatisfiable(head)
        case 200..<300: try takeWhole(head)
        default: verdict = refusal(head)
        }
        return verdict == nil ? .receive : .stop
    }

    func takeBody(_ bytes: UnsafeRawBufferPointer) throws {
        guard partial.size + Int64(bytes.count) <= limits.maxBytes else { throw tooLarge(nil) }
        try partial.append(bytes)
        if let rate = meter.report(at: partial.size) { onProgress(progress(rate)) }
    }

    private func progress(_ rate: Double?) -> MediaProgress {
        let total = partial.source.totalBytes
        return MediaProgress(
            .downloading, fraction: total.map { $0 > 0 ? min(1, Double(partial.size) / Double($0)) : 1 },
            doneBytes: partial.size, totalBytes: total, bytesPerSecond: rate)
    }

    private func takeWhole(_ head: HTTPHead) throws(MediaError) {
        if case .page = AnswerKind(head), limits.acceptsPages {
            verdict = .page
            return
        }
        if partial.size > 0 { try partial.restart() }
        let total = head.headers["Transfer-Encoding"] == nil ? head.contentLength : nil
        if let total { try checkRoom(for: total, total: total) }
        try partial.begin(head, totalBytes: total)
    }

    private func takeContinuation(_ head: HTTPHead) throws(MediaError) {
        guard let range = ContentRange(head), range.start == partial.size, partial.isContinued(by: head),
            range.total == nil || partial.source.totalBytes == nil || range.total == partial.source.totalBytes
        else {
            verdict = .startOver
            return
        }
        if let total = range.total { try checkRoom(for: total - partial.size, total: total) }
        if partial.size == 0 { try partial.begin(head, totalBytes: range.total) }
    }

    /// The range asked for begins at the end: it is all there, or the file has become another.
    private func takeUnsatisfiable(_ head: HTTPHead) {
        let isWhole = ContentRange(head)?.total == partial.size
        verdict = isWhole && partial.source.totalBytes ?? partial.size == partial.size ? .complete : .startOver
    }

    private func checkRoom(for bytes: Int64, total: Int64) throws(MediaError) {
        guard total <= limits.maxBytes else { throw tooLarge(total) }
        guard bytes <= partial.freeBytes else { throw MediaError(.noSpace, "There is no space left on my disk.") }
    }

    private func tooLarge(_ bytes: Int64?) -> MediaError {
        .tooLarge(bytes: bytes, maxBytes: limits.maxBytes)
    }

    private func refusal(_ head: HTTPHead) -> Verdict {
        let isPage = !AnswerKind.looksLikeMedia(head.effectiveURL)
        if limits.acceptsPages, isPage { return .page }
        return .failed(MediaError(refusal: head))
    }
}

/// A Content-Range header (RFC 9110, 14.4).
struct ContentRange {
    /// nil when the range asked for is not there.
    var start: Int64?
    var total: Int64?

    init?(_ head: HTTPHead) {
        guard let value = head.headers["Content-Range"], value.lowercased().hasPrefix("bytes ") else { return nil }
        let parts = value.dropFirst(6).split(separator: "/")
        guard parts.count == 2 else { return nil }
        start = parts[0].split(separator: "-", omittingEmptySubsequences: false).first.flatMap { Int64($0) }
        total = Int64(parts[1])
        // Numbers that no file has: what is computed with them would be no number at all.
        guard (start ?? 0) >= 0, (total ?? .max) >= start ?? 0 else { return nil }
    }
}

extension MediaError {
    /// - Parameter bytes: what it is, as far as it is known.
    package static func tooLarge(bytes: Int64?, maxBytes: Int64) -> MediaError {
        let size = bytes.map { "That is \(ByteCount.text($0))" } ?? "That is too large"
        var error = MediaError(.tooLarge, "\(size); at most \(ByteCount.text(maxBytes)) can be fetched.")
        error.sizeBytes = bytes
        return error
    }
}
