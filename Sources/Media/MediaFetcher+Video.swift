import Glibc
import Payloads
import System

extension FetchRun {
    static let mp4 = FileKind("video/mp4", fileExtension: "mp4")

    func finishVideo(_ raw: Raw, _ probe: MediaProbe?) async throws(MediaError) -> MediaFetched {
        guard let probe, probe.hasVideo else {
            // A file that was requested by its own link is delivered as it is.
            if raw.info != nil { throw MediaError(.noMedia, "There is no video at that link.") }
            return try await finish(raw, probe, raw.path, raw.isOurs, raw.kindWithoutVideo(probe))
        }
        let video = FetchRun.mp4
        let (height, variant) = (raw.info == nil ? smallerHeight(probe) : nil, remainingVariant(raw))
        let drawn = try await drawnSubtitles(raw, variant)
        if let output = try await reencodedIfTooLarge(raw, probe, variant, drawn) {
            return try await finish(raw, try await madeProbe(output, of: probe), output, true, video)
        }
        if variant.cut == nil, height == nil, drawn == nil, probe.isPlayable, isTagged(raw, probe),
            MovieLayout(ofFile: raw.path)?.hasIndexAtEnd != true
        {
            return try await finish(raw, probe, raw.path, raw.isOurs, video)
        }
        let output = folder.file("converted.mp4")
        try await ffmpeg.makeMP4(
            from: raw.path, to: output, probe: probe, variant: variant, tags: tags(raw, probe), scaledTo: height,
            drawing: drawn, onProgress: onProgress)
        let product = try await madeProbe(output, of: probe)
        if let limit = settings.reencode?.limitBytes, job.kind == .video, fileSize(output) > limit,
            let smaller = try await reencoded(raw, probe, variant, drawn)
        {
            return try await finish(raw, try await madeProbe(smaller, of: probe), smaller, true, video)
        }
        return try await finish(raw, product, output, true, video)
    }

    private func madeProbe(_ output: String, of source: MediaProbe) async throws(MediaError) -> MediaProbe {
        guard var product = try await ffmpeg.probe(output), product.hasVideo else {
            throw MediaError(.conversionFailed, "That file is damaged, or of a kind that cannot be converted.")
        }
        (product.title, product.performer) = (source.title, source.performer)
        return product
    }

    /// Returns the path of the subtitles that are to be drawn into the picture; nil if none are.
    private func drawnSubtitles(_ raw: Raw, _ variant: MediaVariant) async throws(MediaError) -> String? {
        guard variant.burnsSubtitles, let subtitles = raw.subtitles else { return nil }
        // The filter that reads it knows its name only. Its folder is where ffmpeg runs.
        let path = folder.file("drawn.srt")
        try await ffmpeg.makeDrawable(subtitles, as: path, beginningAt: variant.cut?.start ?? 0)
        return path
    }

    // MARK: - Fitting

    private func reencodedIfTooLarge(
        _ raw: Raw, _ probe: MediaProbe, _ variant: MediaVariant, _ drawn: String?
    ) async throws(MediaError) -> String? {
        guard let limit = settings.reencode?.limitBytes, job.kind == .video else { return nil }
        let seconds = probe.durationSeconds ?? 0
        let share = variant.cut.flatMap { $0.seconds(of: seconds) }.map { seconds > 0 ? $0 / seconds : 1 } ?? 1
        guard Double(fileSize(raw.path)) * share > Double(limit) else { return nil }
        return try await reencoded(raw, probe, variant, drawn)
    }

    /// Encodes a video anew so that it fits.
    ///
    /// - Returns: nil if it cannot be made to fit, and may be delivered as it is.
    private func reencoded(
        _ raw: Raw, _ probe: MediaProbe, _ variant: MediaVariant, _ drawn: String?
    ) async throws(MediaError) -> String? {
        guard let reencode = settings.reencode else { return nil }
        let whole = probe.durationSeconds ?? 0
        let seconds = variant.cut.flatMap { $0.seconds(of: whole) } ?? whole
        let end = ContinuousClock.now + reencode.budget
        // The encoder can miss the rate: the second attempt has a margin.
        for share in [1, 0.8] {
            guard let plan = EncodingPlan(probe: probe, seconds: seconds, limitBytes: reencode.limitBytes, share: share)
            else { return try notReencoded(reencode, raw, "its picture would become too poor") }
            do throws(MediaError) {
                return try await encode(raw, probe, variant, drawn, plan, until: end)
            } catch {
                if error.code == .tooLarge { continue }
                guard error.code == .timedOut, ContinuousClock.now < deadline else { throw error }
                return try notReencoded(reencode, raw, "that would take longer than I may work on one video")
            }
        }
        return try notReencoded(reencode, raw, "it stays too large")
    }

    private func encode(
        _ raw: Raw, _ probe: MediaProbe, _ variant: MediaVariant, _ drawn: String?, _ plan: EncodingPlan,
        until end: ContinuousClock.Instant
    ) async throws(MediaError) -> String {
        // A conversion that is only too large may still be delivered, so this is another file.
        let output = folder.file("smaller.mp4")
        var ffmpeg = ffmpeg
        ffmpeg.maxBytes = min(settings.reencode?.limitBytes ?? .max, ffmpeg.maxBytes)
        ffmpeg.budget = max(.milliseconds(1), end - .now)
        let height = [plan.height, raw.info == nil ? smallerHeight(probe) : nil].compactMap { $0 }.min()
        try await ffmpeg.makeMP4(
            from: raw.path, to: output, probe: probe, variant: variant, tags: tags(raw, probe), scaledTo: height,
            plan: plan, drawing: drawn, onProgress: onProgress)
        return output
    }

    private func notReencoded(
        _ reencode: ReencodeSettings, _ raw: Raw, _ reason: String
    ) throws(MediaError) -> String? {
        guard reencode.isRequired else { return nil }
        let size = fileSize(raw.path)
        if raw.isOurs { unlink(raw.path) }
        var error = MediaError(
            .tooLarge,
            "That is \(ByteCount.text(size)), and cannot be made small enough for \(ByteCount.text(reencode.limitBytes)): \(reason)."
        )
        error.sizeBytes = size
        throw error
    }

    /// Returns the height to which the picture of a plain file is made smaller, because a smaller one was asked for. A site gives
    /// the picture that it has.
    func smallerHeight(_ probe: MediaProbe) -> Int64? {
        guard let wanted = job.variant.maxHeight, let width = probe.width, let height = probe.height,
            min(width, height) > wanted
        else { return nil }
        return wanted
    }

    /// Returns whether a file of a site says what it is. Other files are delivered as they were made.
    func isTagged(_ raw: Raw, _ probe: MediaProbe) -> Bool {
        guard let info = raw.info else { return true }
        return info.title == probe.title && (info.performer == nil || info.performer == probe.performer)
    }
}
