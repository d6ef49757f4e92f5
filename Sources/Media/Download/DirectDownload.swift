import Glibc
import HTTP
import System

/// One file from a web server straight to disk: resumed where a former attempt ended, retried, bounded, hashed.
struct DirectDownload: Sendable {
    enum Outcome: Sendable {
        case file(DownloadedFile)
        /// The answer is a page or a manifest; nothing of it was kept.
        case needsExtractor
    }

    var url: String
    var folder: JobFolder
    var addressPolicy: AddressPolicy
    var maxBytes: Int64
    var deadline: ContinuousClock.Instant
    var stallTimeout: Duration = .seconds(30)
    /// A server that sends less has stalled.
    var minimumRate = HTTPRequest.MinimumRate(bytesPerSecond: 1000, over: .seconds(60))
    /// How many attempts in a row may bring nothing new.
    var fruitlessAttempts = 5
    /// Before the second attempt; it doubles from there.
    var firstBackoff: Duration = .milliseconds(500)
    /// A server that wants more time than that is not waited for.
    var longestRetryAfter: Duration = .seconds(60)
    /// Whether a page is worth an extractor; else its status or being a page is the error.
    var acceptsPages = true
    /// Whether the file is on the disk for good when it is returned.
    var isDurable = true
    /// Looks into the file: as soon as that can be done, and at the end if it was not enough.
    var examine: Examine?

    typealias Examine = @Sendable (_ path: String) async -> Result<MediaProbe?, MediaError>

    func run(onProgress: @escaping ProgressHandler) async throws(MediaError) -> Outcome {
        let partial = try PartialFile(in: folder, url: url)
        let (indexes, arrival) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .bufferingNewest(1))
        partial.onIndex = { arrival.yield($0) }
        async let early = EarlyLook(examine, partial.path, when: indexes)
        do throws(MediaError) {
            let ending = try await attempts(partial, onProgress)
            arrival.finish()
            guard case .complete = ending else { return .needsExtractor }
            return .file(try await finished(partial, await early))
        } catch {
            let isHopeless = error.code == .noSpace || !error.isTemporary || !partial.isResumable
            if isHopeless { partial.remove() } else { try? await partial.settle() }
            throw error
        }
    }

    private enum Ending { case complete, page }

    private func attempts(_ partial: PartialFile, _ onProgress: @escaping ProgressHandler) async throws(MediaError)
        -> Ending
    {
        let client = HTTPClient(userAgent: DirectDownload.userAgent)
        var fruitless = 0
        // Not since the last attempt: a server with which every attempt starts over would be asked until the deadline.
        var furthest = partial.size
        while true {
            let sink = DownloadSink(partial, limits: self, onProgress)
            let failure: MediaError
            switch await attempt(client, partial, sink) {
            case .complete: return .complete
            case .page:
                partial.remove()
                return .page
            case .startOver:
                try partial.restart()
                failure = MediaError(.truncated, "The site cannot continue where it broke off.")
            case .failed(let error):
                guard error.isTemporary, error.code != .cancelled, error.code != .noSpace else { throw error }
                failure = error
            }
            try partial.flush()
            fruitless = partial.size > furthest ? 0 : fruitless + 1
            furthest = max(furthest, partial.size)
            try await waitToRetry(after: fruitless, failure)
            if !partial.isResumable { try partial.restart() }
        }
    }

    private func waitToRetry(after fruitless: Int, _ failure: MediaError) async throws(MediaError) {
        let backoff = Backoff(first: firstBackoff, longest: firstBackoff * 64, jitter: .plusMinus(0.25))
        let wait = max(backoff.pause(after: max(1, fruitless)), failure.retryAfter ?? .zero)
        // Whoever asks for more is better asked anew, by somebody who waits without holding up others.
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
        request.headers = [("Accept", "*/*")]
        if partial.isResumable, let validator = partial.source.validator {
            request.headers += [("Range", "bytes=\(partial.size)-"), ("If-Range", validator)]
        }
        do {
            _ = try await client.stream(request, onHead: sink.takeHead, onBody: sink.takeBody)
            return sink.verdictAtEnd
        } catch {
            return .failed(error.underlying as? MediaError ?? MediaError(error))
        }
    }

    /// The disk and the hash still need a while when the last byte is there: long enough to look into the file.
    private func finished(_ partial: PartialFile, _ early: EarlyLook) async throws(MediaError) -> DownloadedFile {
        try partial.flush()
        let path = partial.path
        let known = early.result(of: partial.version)
        async let probe = known == nil ? examine?(path) : known
        let sha256 = try await partial.finish(isDurable: isDurable)
        return DownloadedFile(
            path: path, sizeBytes: partial.size, sha256: sha256, contentType: partial.source.contentType,
            fileName: partial.source.fileName, probe: await probe)
    }

    /// Some servers refuse whoever is no browser; this one says that it is none, in a form that they take.
    static let userAgent = "Mozilla/5.0 (compatible; tgpipe)"
}

/// What a file showed before all of it was there.
private struct EarlyLook: Sendable {
    private var version: Int?
    private var probe: MediaProbe?

    /// - Parameter indexes: the versions of the file of which the index arrived.
    init(_ examine: DirectDownload.Examine?, _ path: String, when indexes: AsyncStream<Int>) async {
        guard let examine else { return }
        for await arrived in indexes {
            version = arrived
            probe = if case .success(let found) = await examine(path) { found } else { nil }
        }
    }

    /// nil when there is nothing to go by, or it was of another version.
    func result(of version: Int) -> Result<MediaProbe?, MediaError>? {
        guard version == self.version, let probe else { return nil }
        return .success(probe)
    }
}

/// A complete file.
struct DownloadedFile: Sendable {
    var path: String
    var sizeBytes: Int64
    var sha256: String
    /// As the server gave it, without parameters.
    var contentType: String?
    var fileName: String?
    /// What `DirectDownload.examine` found.
    var probe: Result<MediaProbe?, MediaError>?
}
