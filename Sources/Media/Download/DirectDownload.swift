import Glibc
import HTTP
import JSON
import Payloads
import System

/// Downloads one file from a web server straight to disk.
///
/// It resumes where an earlier attempt ended, retries, keeps to limits of size and time, and hashes the bytes as they
/// arrive.
struct DirectDownload: Sendable {
    enum Outcome: Sendable {
        case file(DownloadedFile)
        /// The answer is a page or a manifest. Nothing of it was kept.
        case needsExtractor
    }

    var url: String
    var folder: JobFolder
    var addressPolicy: AddressPolicy
    var maxBytes: Int64
    var deadline: ContinuousClock.Instant
    var stallTimeout: Duration = .seconds(30)
    /// A server that sends fewer bytes per second counts as stalled.
    var minimumRate = HTTPRequest.MinimumRate(bytesPerSecond: 1000, over: .seconds(60))
    /// The number of attempts in a row without a new byte after which the download fails.
    var fruitlessAttempts = 5
    /// The pause before the second attempt. Each further pause is twice as long.
    var firstBackoff: Duration = .milliseconds(500)
    /// The longest pause that a server may request. A server that requests more fails the download.
    var longestRetryAfter: Duration = .seconds(60)
    /// Is true if a page is left to an extractor; otherwise a page, or its status, is an error.
    var acceptsPages = true
    /// The page that names the URL; nil for none.
    var referrer: String?
    /// Is true if the returned file survives a loss of power.
    var isDurable = true
    /// Probes the file, while it arrives if its index comes first, and at the end if that was not enough.
    var examine: Examine?

    /// The way of a file that need not be on the disk; nil if every file has to be.
    var stream: StreamedBytes?

    typealias Examine = @Sendable (_ path: String) async -> Result<MediaProbe?, MediaError>

    func run(onProgress: @escaping ProgressHandler) async throws(MediaError) -> Outcome {
        let partial = try PartialFile(in: folder, url: url, stream: stream)
        async let _ = serve(stream)
        defer { stream?.close() }
        let (indexes, arrival) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .bufferingNewest(1))
        partial.onIndex = { arrival.yield($0) }
        async let early = EarlyLook(examine, partial.path, when: indexes)
        do throws(MediaError) {
            let ending = try await attempts(partial, onProgress)
            arrival.finish()
            guard case .complete = ending else { return .needsExtractor }
            try partial.settlePlace()
            guard partial.stream != nil || partial.size <= maxBytes else {
                throw MediaError.tooLarge(bytes: partial.size, maxBytes: maxBytes)
            }
            return .file(try await finished(partial, await early))
        } catch {
            let isHopeless =
                error.code == .noSpace || !error.isTransient || !partial.isResumable || partial.stream != nil
            if isHopeless { partial.remove() } else { try? await partial.settle() }
            throw error
        }
    }

    private func serve(_ stream: StreamedBytes?) async { await stream?.serve() }

    private enum Ending { case complete, page }

    private func attempts(_ partial: PartialFile, _ onProgress: @escaping ProgressHandler) async throws(MediaError)
        -> Ending
    {
        let client = HTTPClient(userAgent: DirectDownload.userAgent)
        var fruitless = 0
        // The most bytes so far, not those of the last attempt: a server that starts over each time would be asked
        // until the deadline.
        var furthest = partial.size
        while true {
            let sink = DownloadSink(partial, limits: self, onProgress)
            let failure: MediaError
            let (start, sizeBefore, waited) = (ContinuousClock.now, partial.size, partial.stream?.waited ?? .zero)
            switch try await checked(attempt(client, partial, sink), partial) {
            case .complete: return .complete
            case .page:
                partial.remove()
                return .page
            case .startOver:
                try partial.restart()
                failure = MediaError(.truncated, "The site cannot resume the download.")
            case .failed(let error):
                guard error.isTransient, error.code != .cancelled, error.code != .noSpace else { throw error }
                failure = error
            }
            try partial.flush()
            // The site is not to blame for a slow stream.
            let waiting = (partial.stream?.waited ?? waited) - waited
            if isTooSlow(partial.size - sizeBefore, in: .now - start - waiting) {
                throw MediaError(.timedOut, "The site sends too slowly.")
            }
            fruitless = partial.size > furthest ? 0 : fruitless + 1
            furthest = max(furthest, partial.size)
            try await waitToRetry(after: fruitless, failure)
            if !partial.isResumable { try partial.restart() }
        }
    }

    /// Returns whether an attempt was ended for its rate. Another one would keep the place from other jobs again.
    private func isTooSlow(_ bytes: Int64, in time: Duration) -> Bool {
        time >= minimumRate.window && bytes > 0
            && Double(bytes) < minimumRate.bytesPerSecond * (time / .seconds(1))
    }

    /// Checks an answer of unknown length by the file's own structure: its connection may have broken off.
    private func checked(
        _ verdict: DownloadSink.Verdict, _ partial: PartialFile
    ) throws(MediaError) -> DownloadSink.Verdict {
        guard case .complete = verdict, partial.source.totalBytes == nil else { return verdict }
        try partial.flush()
        guard partial.isCutOff else { return verdict }
        return .failed(MediaError(.truncated, "The site closed the connection before the end of the file."))
    }

    private func waitToRetry(after fruitless: Int, _ failure: MediaError) async throws(MediaError) {
        let backoff = Backoff(first: firstBackoff, longest: firstBackoff * 64, jitter: .plusMinus(0.25))
        let wait = max(backoff.pause(after: max(1, fruitless)), failure.retryAfter ?? .zero)
        // The job is left to a later attempt, which can wait without holding up other jobs.
        if let retryAfter = failure.retryAfter, retryAfter > longestRetryAfter { throw failure }
        guard fruitless < fruitlessAttempts, ContinuousClock.now + wait < deadline else { throw failure }
        do { try await Task.sleep(for: wait) } catch { throw .cancelled }
    }

    private func attempt(_ client: HTTPClient, _ partial: PartialFile, _ sink: DownloadSink) async
        -> DownloadSink.Verdict
    {
        var request = HTTPRequest("GET", url)
        request.addressPolicy = addressPolicy
        request.maxRedirects = 10
        request.stallTimeout = stallTimeout
        request.minimumRate = minimumRate
        request.deadline = max(.milliseconds(1), deadline - .now)
        request.headers = [("Accept", "*/*")] + (referrer.map { [("Referer", $0)] } ?? [])
        request.decodesContent = sink.decodesContent
        if partial.isResumable, let validator = partial.source.validator {
            request.headers += [("Range", "bytes=\(partial.size)-"), ("If-Range", validator)]
        }
        do {
            _ = try await client.stream(request, onHead: sink.takeHead, onBody: sink.takeBody)
            return sink.verdictAtEnd
        } catch  where error.code == .badEncoding && sink.decodesContent && sink.isEncodingKnown {
            // The server says that the file is encoded, and sends it as it is.
            sink.decodesContent = false
            return await attempt(client, partial, sink)
        } catch {
            return .failed(error.underlying as? MediaError ?? MediaError(error))
        }
    }

    /// Finishes the file. It probes the file while the last bytes are written and hashed, which takes long enough.
    private func finished(_ partial: PartialFile, _ early: EarlyLook) async throws(MediaError) -> DownloadedFile {
        try partial.flush()
        if let stream = partial.stream {
            guard !stream.isCutOff() else {
                throw MediaError(.truncated, "The end of that file is missing.", isTransient: false)
            }
            return DownloadedFile(
                path: "", sizeBytes: partial.size, sha256: try await partial.finish(isDurable: isDurable),
                contentType: partial.source.contentType, fileName: partial.source.fileName,
                probe: .success(stream.probe))
        }
        let path = partial.path
        let known = early.result(of: partial.version)
        async let probe = known == nil ? examine?(path) : known
        let sha256 = try await partial.finish(isDurable: isDurable)
        return DownloadedFile(
            path: path, sizeBytes: partial.size, sha256: sha256, contentType: partial.source.contentType,
            fileName: partial.source.fileName, probe: await probe)
    }

    /// Some servers refuse clients that are not browsers. This name has the form that they accept, without claiming
    /// to be one.
    static let userAgent = "Mozilla/5.0 (compatible; tgpipe)"
}

/// Holds the result of probing a file before it was complete.
private struct EarlyLook: Sendable {
    private var version: Int?
    private var probe: MediaProbe?

    /// Probes the file each time its index becomes complete.
    ///
    /// - Parameter indexes: the versions of the file whose index is complete.
    init(_ examine: DirectDownload.Examine?, _ path: String, when indexes: AsyncStream<Int>) async {
        guard let examine else { return }
        for await arrived in indexes {
            version = arrived
            probe = if case .success(let found) = await examine(path) { found } else { nil }
        }
    }

    /// Returns the result for a version of the file; nil when there is none.
    func result(of version: Int) -> Result<MediaProbe?, MediaError>? {
        guard version == self.version, let probe else { return nil }
        return .success(probe)
    }
}

/// Describes a complete file.
struct DownloadedFile: Sendable {
    /// The path of the file; empty if a stream has it.
    var path: String
    var sizeBytes: Int64
    var sha256: String
    /// The server's content type, without parameters.
    var contentType: String?
    var fileName: String?
    /// The result of `DirectDownload.examine`.
    var probe: Result<MediaProbe?, MediaError>?
}

/// Writes one answer of the server to the partial file.
///
/// `@unchecked Sendable`: called on the client's thread during the request, read by the download after it.
final class DownloadSink: @unchecked Sendable {
    enum Verdict {
        case complete
        case page
        /// The bytes on disk are not the beginning of the server's current file.
        case startOver
        case failed(MediaError)
    }

    private let partial: PartialFile
    private let limits: DirectDownload
    private let onProgress: ProgressHandler
    private var meter = RateMeter()
    /// The verdict, once the head alone decides it.
    private var verdict: Verdict?
    /// Is true if an encoded answer is decoded.
    var decodesContent = true
    /// Is true if the answer is in an encoding that can be decoded.
    private(set) var isEncodingKnown = true

    init(_ partial: PartialFile, limits: DirectDownload, _ onProgress: @escaping ProgressHandler) {
        self.partial = partial
        self.limits = limits
        self.onProgress = onProgress
    }

    /// The verdict after the request ended without an error.
    var verdictAtEnd: Verdict {
        if let verdict { return verdict }
        if let total = partial.source.totalBytes, total != partial.size {
            return .failed(MediaError(.truncated, "The site closed the connection before the end of the file."))
        }
        return .complete
    }

    func takeHead(_ head: HTTPHead) throws -> HeadDecision {
        switch head.status {
        case 204, 205:
            verdict = .failed(
                MediaError(.noMedia, "The site answered that there is nothing at that link (\(head.status))."))
        case 206: try takeContinuation(head)
        case 416 where partial.size > 0: takeUnsatisfiable(head)
        case 200..<300: try takeWhole(head)
        default: verdict = refusal(head)
        }
        return verdict == nil ? .receive : .stop
    }

    func takeBody(_ bytes: UnsafeRawBufferPointer) throws {
        guard partial.size + Int64(bytes.count) <= maxBytes else { throw tooLarge(nil) }
        let hadStream = partial.stream != nil
        try partial.append(bytes)
        // The disk has other limits, which did not matter before.
        if hadStream, partial.stream == nil, let total = partial.source.totalBytes {
            try checkRoom(for: total - partial.size, total: total)
        }
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
            let isEmpty = head.contentLength == 0 && head.headers["Transfer-Encoding"] == nil
            verdict = isEmpty ? .failed(MediaError(.noMedia, "The site sent an empty page.")) : .page
            return
        }
        if partial.size > 0 { try partial.restart() }
        isEncodingKnown = head.contentEncoding.map { DownloadSink.encodings.contains($0) } ?? true
        let isAsSent = head.headers["Transfer-Encoding"] == nil && head.contentEncoding == nil
        let total = isAsSent ? head.contentLength : nil
        if let total { try checkRoom(for: total, total: total) }
        try partial.begin(head, totalBytes: total)
    }

    /// The encodings that libcurl decodes.
    private static let encodings: Set<String> = ["gzip", "x-gzip", "deflate", "br", "zstd"]

    private func takeContinuation(_ head: HTTPHead) throws(MediaError) {
        guard head.contentEncoding == nil, let range = ContentRange(head), range.start == partial.size,
            partial.isContinued(by: head),
            range.total == nil || partial.source.totalBytes == nil || range.total == partial.source.totalBytes
        else {
            verdict = .startOver
            return
        }
        if let total = range.total { try checkRoom(for: total - partial.size, total: total) }
        if partial.size == 0 { try partial.begin(head, totalBytes: range.total) }
    }

    /// Handles a range that begins at the file's end: the file is complete, or the server has another one now.
    private func takeUnsatisfiable(_ head: HTTPHead) {
        let isWhole = ContentRange(head)?.total == partial.size
        verdict = isWhole && partial.source.totalBytes ?? partial.size == partial.size ? .complete : .startOver
    }

    /// The most bytes that the file may have where it is now.
    private var maxBytes: Int64 { partial.stream?.maxBytes ?? limits.maxBytes }

    private func checkRoom(for bytes: Int64, total: Int64) throws(MediaError) {
        guard total <= maxBytes else { throw tooLarge(total) }
        guard partial.stream == nil else { return }
        guard bytes <= partial.freeBytes else { throw MediaError(.noSpace, "There is no space left on my disk.") }
    }

    private func tooLarge(_ bytes: Int64?) -> MediaError {
        .tooLarge(bytes: bytes, maxBytes: maxBytes)
    }

    private func refusal(_ head: HTTPHead) -> Verdict {
        let isPage = !AnswerKind.looksLikeMedia(head.effectiveURL)
        if limits.acceptsPages, isPage { return .page }
        return .failed(MediaError(refusal: head))
    }
}

/// Reads a Content-Range header (RFC 9110, 14.4).
struct ContentRange {
    /// The first byte's position; nil when the requested range does not exist.
    var start: Int64?
    var total: Int64?

    init?(_ head: HTTPHead) {
        guard let value = head.headers["Content-Range"], value.lowercased().hasPrefix("bytes ") else { return nil }
        let parts = value.dropFirst(6).split(separator: "/")
        guard parts.count == 2 else { return nil }
        start = parts[0].split(separator: "-", omittingEmptySubsequences: false).first.flatMap { Int64($0) }
        total = Int64(parts[1])
        // Rejects numbers that no file has, whose sums would overflow.
        guard (start ?? 0) >= 0, (total ?? .max) >= start ?? 0 else { return nil }
    }
}

extension MediaError {
    /// Makes the error for a file over the limit.
    ///
    /// - Parameter bytes: the file's size, if it is known.
    package static func tooLarge(bytes: Int64?, maxBytes: Int64) -> MediaError {
        let size = bytes.map { "That is \(ByteCount.text($0))" } ?? "That is too large"
        var error = MediaError(.tooLarge, "\(size); at most \(ByteCount.text(maxBytes)) can be fetched.")
        error.sizeBytes = bytes
        return error
    }
}

/// Tells a file to download from a page, by an answer's head.
enum AnswerKind {
    /// A file to download.
    case file
    /// A page or a manifest, for an extractor.
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

    /// Returns whether a URL looks like a media file's. An error status is then final: no extractor will find more.
    static func looksLikeMedia(_ url: String) -> Bool { mediaExtensions.contains(fileExtension(url)) }

    /// Returns the extension of a URL's path, in lower case.
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

extension HTTPHead {
    /// A safe name for the file: the name that the server gives, otherwise the last part of the URL's path.
    var suggestedFileName: String? {
        if let name = headers["Content-Disposition"].flatMap({ ContentDisposition.fileName(in: $0) }) {
            return FileName.safe(name, maxBytes: 120)
        }
        let path = effectiveURL.prefix { $0 != "?" && $0 != "#" }.dropFirst("https://".count)
        guard let last = path.split(separator: "/").dropFirst().last else { return nil }
        let bytes = percentDecodedBytes(last)
        let name =
            String(validating: bytes, as: UTF8.self)
            ?? String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        return FileName.safe(name, maxBytes: 120)
    }
}
