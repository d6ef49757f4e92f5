import Payloads

/// Passes files that need not be on the disk to a stream.
extension MediaFetcher {
    /// Returns the number of bytes that a job may write.
    ///
    /// - Parameter orNone: whether a job may do without any.
    func room(orNone mayBeNone: Bool) throws(MediaError) -> Int64 {
        do throws(MediaError) { return try space.makeRoom() } catch {
            guard mayBeNone, error.code == .noSpace else { throw error }
            return 0
        }
    }
}

extension MediaError {
    static let noSpace = MediaError(.noSpace, "There is no space left on my disk.")
}

extension FetchRun {
    /// Takes files that need not be on the disk.
    struct Stream: Sendable {
        let target: any DownloadStream
        /// The longest file, whatever room there is on the disk.
        let maxBytes: Int64
    }

    /// Is true if the job may need no room on the disk.
    var mayStream: Bool {
        guard stream != nil, job.kind == .video, job.variant.cut == nil, job.variant.subtitles == nil else {
            return false
        }
        return switch job.origin {
        case .download: true
        case .site: !job.identity.isVideoPage && site?.proxy == nil
        case .local, .fetched: false
        }
    }

    /// The way of a download to the stream; nil if the job needs a file in any case.
    var streamedBytes: StreamedBytes? {
        guard let stream, mayStream else { return nil }
        return StreamedBytes(stream.target, maxBytes: stream.maxBytes, judge: judge)
    }

    /// Describes a file that the stream has.
    func streamed(_ raw: Raw, _ sizeBytes: Int64) throws(MediaError) -> MediaFetched {
        let probe = try raw.probe?.get()
        let kind = probe?.hasVideo == true ? FetchRun.mp4 : raw.kindWithoutVideo(probe)
        return described(raw, probe, kind, path: "", sizeBytes: sizeBytes, sha256: raw.sha256)
    }

    /// Decides by the beginning of a file whether it is kept as it is.
    @Sendable private func judge(
        _ beginning: [UInt8], _ sizeBytes: Int64?
    ) async throws(MediaError) -> StreamedBytes.Verdict {
        if let limit = settings.reencode?.limitBytes, sizeBytes.map({ $0 > limit }) ?? true { return .needsDisk }
        guard MediaSignature.isPlausible(Array(beginning.prefix(MediaSignature.length))) else { return .kept(nil) }
        guard let probe = try await ffmpeg.probe(beginning: beginning), probe.isPlayable,
            let seconds = probe.durationSeconds,
            smallerHeight(probe) == nil
        else { return .needsDisk }
        try settings.limits.check(seconds: seconds, job.variant)
        return .kept(probe)
    }
}
