import JSON
import System
import Glibc
import HTTP

/// One fetch, with its folder locked: get the bytes, make them what was asked for, and say what they are.
struct FetchRun: Sendable {
    let job: MediaJob
    let settings: MediaSettings
    let folder: JobFolder
    let deadline: ContinuousClock.Instant
    let onCanonicalURL: CanonicalURLHandler
    let onProgress: ProgressHandler

    /// A file with media in it, as it came.
    private struct Raw {
        var path: String
        /// Whether the file is the job's own, to be moved or removed.
        var isOurs = true
        var sha256: String?
        var contentType: String?
        var fileName: String?
        var info: VideoInfo?
        var probe: Result<MediaProbe?, MediaError>?

        /// Of a file in which no video was found: what the server called one is not passed on as one.
        var honestContentType: String {
            guard let contentType, !contentType.lowercased().hasPrefix("video/") else {
                return "application/octet-stream"
            }
            return contentType
        }
    }

    func run() async throws(MediaError) -> FetchedMedia {
        let raw = try await fetch()
        guard fileSize(raw.path) > 0 else {
            if raw.isOurs { unlink(raw.path) }
            throw MediaError(.noMedia, "The file at that link is empty.")
        }
        let probe = if let known = raw.probe { try known.get() } else { try await ffmpeg.probe(raw.path) }
        return switch job.kind {
        case .video: try await finishVideo(raw, probe)
        case .audio: try await finishAudio(raw, probe)
        }
    }

    // MARK: - Getting the bytes

    private func fetch() async throws(MediaError) -> Raw {
        switch job.origin {
        case .local(let path):
            return Raw(path: path.absolutePath, isOurs: false)
        case .fetched(let sizeBytes, let fetcher):
            let path = folder.file("fetched.bin")
            try await bring(to: path, sizeBytes, fetcher)
            return Raw(path: path, fileName: job.fileName)
        case .download(let url):
            guard case .file(let file) = try await download(url, .any, acceptsPages: false) else {
                throw MediaError(.unsupported, "There is no file at that link.")
            }
            return raw(file)
        case .site:
            if !job.identity.isVideoPage,
                case .file(let file) = try await download(
                    job.identity.sourceURL, settings.addressPolicy, acceptsPages: true)
            {
                return raw(file)
            }
            return try await extract()
        }
    }

    private func download(
        _ url: String, _ policy: AddressPolicy, acceptsPages: Bool
    ) async throws(MediaError) -> DirectDownload.Outcome {
        var download = DirectDownload(
            url: url, folder: folder, addressPolicy: policy, maxBytes: settings.maxBytes, deadline: deadline,
            stallTimeout: settings.stallTimeout, acceptsPages: acceptsPages, isDurable: settings.isDurable)
        download.longestRetryAfter = settings.longestRetryAfter
        let ffmpeg = ffmpeg
        download.examine = { path in
            do throws(MediaError) { return .success(try await ffmpeg.probe(path)) } catch { return .failure(error) }
        }
        return try await download.run(onProgress: titled)
    }

    private func bring(to path: String, _ sizeBytes: Int64?, _ fetcher: @escaping FileFetcher) async throws(MediaError)
    {
        if let sizeBytes, sizeBytes > settings.maxBytes {
            throw MediaError.tooLarge(bytes: sizeBytes, maxBytes: settings.maxBytes)
        }
        let (report, deadline) = (BroughtBytes(sizeBytes, titled), deadline)
        let result = await withTaskGroup(of: Result<Void, MediaError>.self) { group in
            group.addTask {
                do throws(MediaError) { return .success(try await fetcher(path, report.add)) } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                try? await Task.sleep(until: deadline)
                return .failure(MediaError(.timedOut, "The file did not come in time."))
            }
            defer { group.cancelAll() }
            return await group.next() ?? .success(())
        }
        try result.get()
    }

    private func raw(_ file: DownloadedFile) -> Raw {
        Raw(
            path: file.path, sha256: file.sha256, contentType: file.contentType,
            fileName: job.fileName ?? file.fileName, probe: file.probe)
    }

    private func extract() async throws(MediaError) -> Raw {
        let ytDlp = YtDlp(
            settings: settings.ytDlp, ffmpegProgram: settings.ffmpeg, folder: folder, kind: job.kind,
            addressPolicy: settings.addressPolicy, maxBytes: settings.maxBytes, deadline: deadline)
        let outcome = try await ytDlp.run(job.identity.sourceURL, onProgress: onProgress) { info throws(MediaError) in
            if let url = canonicalURL(info) { try await onCanonicalURL(url) }
        }
        return Raw(path: outcome.path, info: outcome.info)
    }

    /// Progress with the title, when it is known beforehand.
    private var titled: ProgressHandler {
        guard let title = job.title else { return onProgress }
        return { [onProgress] progress in
            var progress = progress
            progress.title = title
            onProgress(progress)
        }
    }

    // MARK: - Making it what was asked for

    private var ffmpeg: FFmpeg {
        FFmpeg(
            program: settings.ffmpeg, probeProgram: settings.ffprobe, deadline: deadline, maxBytes: settings.maxBytes)
    }

    private func finishVideo(_ raw: Raw, _ probe: MediaProbe?) async throws(MediaError) -> FetchedMedia {
        guard let probe, probe.hasVideo else {
            // A file is a file: who asked for it by its link gets it as it is.
            if raw.info != nil { throw MediaError(.noMedia, "There is no video in that.") }
            return try await finish(
                raw, probe, raw.path, raw.isOurs, ending: nil, raw.honestContentType)
        }
        if probe.isMP4 { return try await finish(raw, probe, raw.path, raw.isOurs, ending: "mp4", "video/mp4") }
        let output = folder.file("converted.mp4")
        try await ffmpeg.makeMP4(
            from: raw.path, to: output, probe: probe, title: title(raw, probe), onProgress: onProgress)
        return try await finish(raw, probe, output, true, ending: "mp4", "video/mp4")
    }

    private func finishAudio(_ raw: Raw, _ probe: MediaProbe?) async throws(MediaError) -> FetchedMedia {
        guard let probe, probe.hasAudio else {
            if raw.isOurs { unlink(raw.path) }
            throw MediaError(.noAudio, "There is no sound in that.")
        }
        if probe.isMP3 { return try await finish(raw, probe, raw.path, raw.isOurs, ending: "mp3", "audio/mpeg") }
        let output = folder.file("converted.mp3")
        try await ffmpeg.extractAudio(
            from: raw.path, to: output, probe: probe, title: title(raw, probe), performer: performer(raw, probe),
            onProgress: onProgress)
        return try await finish(raw, probe, output, true, ending: "mp3", "audio/mpeg")
    }

    // MARK: - Saying what it is

    /// - Parameter ending: of the file's name; nil keeps the one that it has.
    private func finish(
        _ raw: Raw, _ probe: MediaProbe?, _ product: String, _ isOurs: Bool, ending: String?, _ contentType: String
    ) async throws(MediaError) -> FetchedMedia {
        let path = folder.file("media-\(job.address.hash.prefix(16)).\(ending ?? "bin")")
        try await place(product, at: path, isOurs)
        var sha256 = raw.path == product ? raw.sha256 : nil
        if sha256 == nil { sha256 = try await HashingWriter.hash(path, isDurable: settings.isDurable) }
        let title = title(raw, probe)
        let name = raw.info == nil ? raw.fileName ?? title : title
        let fallback = String(job.address.hash.prefix(16))
        return FetchedMedia(
            kind: job.kind, key: job.address.key, path: path, sizeBytes: fileSize(path), sha256: sha256 ?? "",
            contentType: contentType,
            fileName: ending.map { FileName.make(name, fallback: fallback, fileExtension: $0) }
                ?? name.flatMap(FileName.safe) ?? fallback,
            sourceURL: job.identity.sourceURL, normalizedURL: job.identity.normalizedURL, domain: job.identity.domain,
            title: title, performer: performer(raw, probe),
            durationSeconds: probe?.durationSeconds ?? raw.info?.durationSeconds ?? job.durationSeconds,
            width: job.kind == .video ? probe?.width : nil, height: job.kind == .video ? probe?.height : nil,
            fetchedAt: .now, canonicalURL: raw.info.flatMap(canonicalURL))
    }

    private func title(_ raw: Raw, _ probe: MediaProbe?) -> String? {
        raw.info?.title ?? job.title ?? probe?.title ?? raw.fileName.map(FileName.stem)
    }

    private func performer(_ raw: Raw, _ probe: MediaProbe?) -> String? {
        raw.info?.performer ?? job.performer ?? probe?.performer
    }

    private func canonicalURL(_ info: VideoInfo) -> String? {
        guard let page = info.webpageURL.flatMap({ SourceIdentity($0) })?.normalizedURL else { return nil }
        return page == job.identity.normalizedURL ? nil : page
    }

    /// Moves a file of the job's, or links (else copies) one that is somebody else's.
    private func place(_ file: String, at path: String, _ isOurs: Bool) async throws(MediaError) {
        unlink(path)
        if isOurs {
            guard rename(file, path) == 0 else { throw .local("rename a file", errno) }
        } else if link(file, path) != 0 {
            let copied = await BlockingThread().run {
                Result { () throws(MediaError) in try FileCopy.copy(file, to: path) }
            }
            try copied.get()
        }
    }

    private func fileSize(_ path: String) -> Int64 {
        var info = stat()
        return stat(path, &info) == 0 ? Int64(info.st_size) : 0
    }
}
