import Crypto
import Glibc
import HTTP
import JSON
package import Payloads
import System

/// Fetches media from a link to a file on the local disk, ready to be stored.
///
/// One fetch of an address runs at a time, across all processes. Another request for it waits and gets the same file.
/// An interrupted fetch continues where it stopped.
package final class MediaFetcher: Sendable {
    let settings: MediaSettings
    private let shortLinks: ShortLinks

    package init(_ settings: MediaSettings) {
        var settings = settings
        settings.directory = absolutePath(settings.directory)
        settings.ytDlp.cookiesFile = settings.ytDlp.cookiesFile.map(absolutePath)
        self.settings = settings
        shortLinks = ShortLinks(
            additionalHosts: settings.shortLinkHosts, addressPolicy: settings.addressPolicy,
            // The one who sent the link must not learn the address of this machine.
            isLeftToExtractor: { [sites = settings.sites] in sites[$0.host]?.proxy != nil })
    }

    /// Returns the identity of a link, after following short links.
    ///
    /// - Throws: `MediaError`.
    package func identify(_ link: String) async throws(MediaError) -> SourceIdentity {
        try await shortLinks.resolve(link)
    }

    /// Fetches a job's media.
    ///
    /// - Parameters:
    ///   - stream: gets a video, or another file, that is kept as its server sends it. Such a file is never on the disk, and the
    ///     limits for the disk do not apply to it.
    ///   - onProgress: see `ProgressHandler`.
    ///   - onCanonicalURL: see `CanonicalURLHandler`.
    /// - Returns: the finished file, in a folder of `MediaSettings.directory`. The caller may move it. All its metadata is
    ///   set, but not the host. Its path is empty if the stream has the file.
    /// - Throws: `MediaError`.
    package func fetch(
        _ job: MediaJob, stream: (any DownloadStream)? = nil, onProgress: @escaping ProgressHandler = { _ in },
        onCanonicalURL: @escaping CanonicalURLHandler = { _ in }
    ) async throws(MediaError) -> MediaFetched {
        let deadline = ContinuousClock.now + settings.deadline
        let folder = try await JobFolder.open(root: settings.directory, hash: job.address.hash, deadline: deadline) {
            onProgress(MediaProgress(.waiting))
        }
        defer { folder.unlock() }
        let result = ResultFile(folder.path, isDurable: settings.isDurable)
        if let finished = await result.read(for: job.address) { return finished }
        result.remove()
        do throws(MediaError) {
            var run = FetchRun(
                job: job, settings: settings, folder: folder, deadline: deadline, onCanonicalURL: onCanonicalURL,
                onProgress: onProgress)
            let longest = settings.longest(job.kind)
            if longest < settings.maxBytes { run.settings.largestBytes = longest }
            run.stream = stream.map { FetchRun.Stream(target: $0, maxBytes: longest) }
            run.settings.maxBytes = min(longest, try room(orNone: run.mayStream))
            let media = try await run.runInRoom(of: longest)
            guard !media.path.isEmpty else {
                folder.remove()
                return media
            }
            folder.empty(except: lastPathComponent(media.path))
            try result.write(media)
            return media
        } catch {
            // The folder is empty, or no later attempt will use it.
            if !error.isTransient || folder.isEmpty { folder.remove() }
            throw error
        }
    }

    var space: WorkSpace {
        WorkSpace(
            directory: settings.directory, reserveBytes: settings.reserveBytes, quotaBytes: settings.quotaBytes)
    }

    /// Returns the result of a finished fetch of this address; nil when there is none, or its file was moved away.
    package func finished(_ address: ContentAddress) async -> MediaFetched? {
        await ResultFile("\(settings.directory)/\(address.hash)", isDurable: settings.isDurable).read(for: address)
    }
}

/// Runs one fetch in its locked folder: gets the bytes, converts them to the requested kind, and describes the
/// result.
struct FetchRun: Sendable {
    let job: MediaJob
    var settings: MediaSettings
    let folder: JobFolder
    let deadline: ContinuousClock.Instant
    let onCanonicalURL: CanonicalURLHandler
    let onProgress: ProgressHandler
    var stream: Stream?

    /// Describes a file as it was fetched.
    struct Raw {
        var path: String
        /// The size of a file that the stream has, and that is kept as it is; nil for a file on the disk.
        var streamedBytes: Int64?
        /// Is true if the file belongs to the job, which may then move or remove it.
        var isOurs = true
        var sha256: String?
        var contentType: String?
        var fileName: String?
        var info: VideoInfo?
        /// Holds what the site says about a picture; nil for other media.
        var details: GalleryDetails?
        /// The person whose picture it is, as a list of the gallery said.
        var performer: String?
        var picture: PictureHeader?
        /// A picture that the site shows for the media, in any form.
        var cover: String?
        /// Subtitles that are to be drawn into the picture, as the site has them.
        var subtitles: String?
        /// Is true if the site gave the wanted part only.
        var isCut = false
        var probe: Result<MediaProbe?, MediaError>?

        /// Returns the kind of a file without a video. Its content type is never a video type, even if the server named
        /// one.
        func kindWithoutVideo(_ probe: MediaProbe?) -> FileKind {
            if let sound = probe?.soundFile {
                return FileKind(sound.contentType, fileExtension: sound.fileExtension, keepsName: true)
            }
            let isVideo = contentType?.lowercased().hasPrefix("video/") ?? true
            return FileKind(isVideo ? nil : contentType, fileExtension: nil, keepsName: true)
        }
    }

    /// Runs the fetch. A file that is too large only for the room on the disk is a lack of space.
    ///
    /// - Parameter maxBytes: the limit for files that holds whatever room there is.
    func runInRoom(of maxBytes: Int64) async throws(MediaError) -> MediaFetched {
        do throws(MediaError) {
            return try await run()
        } catch {
            // A size that there is room for was refused for another reason.
            guard error.code == .tooLarge, settings.maxBytes < maxBytes, error.sizeBytes ?? 0 <= maxBytes,
                error.sizeBytes.map({ $0 > settings.maxBytes }) ?? true
            else { throw error }
            throw .noSpace
        }
    }

    private func run() async throws(MediaError) -> MediaFetched {
        let raw = try await fetch()
        if let bytes = raw.streamedBytes { return try streamed(raw, bytes) }
        guard fileSize(raw.path) > 0 else {
            if raw.isOurs { unlink(raw.path) }
            throw MediaError(.noMedia, "The file at that link is empty.")
        }
        if isCutOff(raw.path) {
            if raw.isOurs { unlink(raw.path) }
            throw MediaError(.truncated, "The end of that file is missing.", isTransient: false)
        }
        let probe = try await probe(raw)
        do throws(MediaError) {
            try checkVariant(raw, probe)
            try settings.limits.check(seconds: probe?.durationSeconds, raw.isCut ? .standard : job.variant)
        } catch {
            if raw.isOurs { unlink(raw.path) }
            throw error
        }
        return switch job.kind {
        case .video: try await finishVideo(raw, probe)
        case .audio: try await finishAudio(raw, probe)
        case .image: try await finishPicture(raw, probe)
        }
    }

    private func probe(_ raw: Raw) async throws(MediaError) -> MediaProbe? {
        if let known = raw.probe { return try known.get() }
        // A picture need not be decoded.
        if job.kind == .image, PictureHeader(ofFile: raw.path) != nil { return nil }
        return try await ffmpeg.probe(raw.path)
    }

    /// - Throws: `noSuchPart` for a part behind the end, and `noSubtitles` for those of a plain file.
    private func checkVariant(_ raw: Raw, _ probe: MediaProbe?) throws(MediaError) {
        if job.variant.subtitles != nil, raw.info == nil {
            throw MediaError(.noSubtitles, "That is a plain file: a site with subtitles is needed.")
        }
        if job.variant.cut != nil, job.kind == .video, probe?.hasVideo != true {
            throw MediaError(.noMedia, "There is no video in that file to cut.")
        }
        if let cut = job.variant.cut, !raw.isCut, let seconds = probe?.durationSeconds,
            Double(cut.start) / 1000 >= seconds
        {
            throw MediaError(
                .noSuchPart, "That is shorter than the part you asked for: it ends at \(Clock.text(seconds)).")
        }
    }

    // MARK: - Getting the bytes

    private func fetch() async throws(MediaError) -> Raw {
        switch job.origin {
        case .local(let path):
            return Raw(path: try readable(path), isOurs: false, fileName: job.fileName)
        case .fetched(let sizeBytes, let fetcher):
            let path = folder.file("fetched.bin")
            try await fetchFile(to: path, sizeBytes, fetcher)
            return Raw(path: path, fileName: job.fileName)
        case .download(let url):
            guard case .file(let file) = try await download(url, .any, acceptsPages: false) else {
                throw MediaError(.unsupported, "There is no file at that link.")
            }
            return raw(file)
        case .site:
            // Only yt-dlp knows the way through a site's proxy. It also fetches plain files.
            if !job.identity.isVideoPage, site?.proxy == nil,
                case .file(let file) = try await download(
                    job.identity.fetchURL, settings.addressPolicy, acceptsPages: true)
            {
                return raw(file)
            }
            // Only a file that a stream takes needs no room.
            guard settings.maxBytes > 0 else { throw .noSpace }
            return try await job.kind == .image ? extractPicture() : extract()
        }
    }

    /// Returns the absolute path of a local file.
    ///
    /// - Throws: `localIO` with the path if the file cannot be read.
    private func readable(_ path: String) throws(MediaError) -> String {
        let path = absolutePath(path)
        guard access(path, R_OK) == 0 else {
            throw MediaError.local("read the file \(lastPathComponent(path))", errno)
        }
        return path
    }

    /// - Parameter referrer: the page that names the URL, without which some servers refuse their pictures.
    func download(
        _ url: String, _ policy: AddressPolicy, acceptsPages: Bool, referrer: String? = nil
    ) async throws(MediaError) -> DirectDownload.Outcome {
        var download = DirectDownload(
            url: url, folder: folder, addressPolicy: policy, maxBytes: settings.maxBytes, deadline: deadline,
            stallTimeout: settings.stallTimeout, acceptsPages: acceptsPages, isDurable: settings.isDurable)
        download.longestRetryAfter = settings.longestRetryAfter
        download.referrer = referrer
        // There is another way to the file.
        if referrer != nil { download.fruitlessAttempts = 1 }
        download.minimumRate = settings.minimumRate
        if referrer == nil { download.stream = streamedBytes }
        let ffmpeg = ffmpeg
        download.examine = { path in
            do throws(MediaError) { return .success(try await ffmpeg.probe(path)) } catch { return .failure(error) }
        }
        return try await download.run(onProgress: titled)
    }

    private func fetchFile(to path: String, _ sizeBytes: Int64?, _ fetcher: @escaping FileFetcher)
        async throws(MediaError)
    {
        if let sizeBytes, sizeBytes > settings.maxBytes {
            throw MediaError.tooLarge(bytes: sizeBytes, maxBytes: settings.maxBytes)
        }
        let (report, deadline) = (ByteCountReports(sizeBytes, titled), deadline)
        let result = await withTaskGroup(of: Result<Void, MediaError>.self) { group in
            group.addTask {
                do throws(MediaError) { return .success(try await fetcher(path, report.add)) } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                try? await Task.sleep(until: deadline)
                return .failure(MediaError(.timedOut, "The file did not arrive in time."))
            }
            defer { group.cancelAll() }
            return await group.next() ?? .success(())
        }
        try result.get()
    }

    func raw(_ file: DownloadedFile) -> Raw {
        Raw(
            path: file.path, streamedBytes: file.path.isEmpty ? file.sizeBytes : nil, sha256: file.sha256,
            contentType: file.contentType,
            fileName: job.fileName ?? file.fileName, probe: file.probe)
    }

    var site: Site? { settings.sites.site(of: job.identity.fetchURL) }

    private func extract() async throws(MediaError) -> Raw {
        var ytDlp = YtDlp(
            settings: settings.ytDlp.adapted(to: site, adding: \.arguments), proxy: site?.proxy,
            ffmpegProgram: settings.ffmpeg,
            jail: settings.jail, folder: folder, kind: job.kind, variant: job.variant,
            addressPolicy: settings.addressPolicy, maxBytes: settings.maxBytes,
            largestBytes: settings.largestBytes ?? settings.maxBytes, deadline: deadline)
        ytDlp.minimumRate = settings.minimumRate
        ytDlp.fitBytes = settings.fitBytes
        ytDlp.limits = settings.limits
        ytDlp.site = site
        if !job.readsAccountPages { ytDlp.checkAnswer = settings.accountPageCheck }
        let outcome = try await ytDlp.run(job.identity, onProgress: onProgress) { identity throws(MediaError) in
            if identity.normalizedURL != job.identity.normalizedURL { try await onCanonicalURL(identity.normalizedURL) }
        }
        return Raw(
            path: outcome.path, info: outcome.info, cover: outcome.cover, subtitles: outcome.subtitles,
            isCut: outcome.isCut)
    }

    /// The progress handler, which adds the title when it is known in advance.
    private var titled: ProgressHandler {
        guard let title = job.title else { return onProgress }
        return { [onProgress] progress in
            var progress = progress
            progress.title = title
            onProgress(progress)
        }
    }

    // MARK: - Converting

    var ffmpeg: FFmpeg {
        FFmpeg(
            program: settings.ffmpeg, probeProgram: settings.ffprobe, deadline: deadline, maxBytes: settings.maxBytes,
            jail: settings.jail)
    }

    private func finishAudio(_ raw: Raw, _ probe: MediaProbe?) async throws(MediaError) -> MediaFetched {
        guard let probe, probe.hasAudio else {
            if raw.isOurs { unlink(raw.path) }
            throw MediaError(.noAudio, "That file has no sound.")
        }
        let format = job.variant.audioFormat ?? .mp3
        let sound = FileKind(format.contentType, fileExtension: format.rawValue)
        let variant = remainingVariant(raw)
        if format == .mp3, variant.cut == nil, probe.isMP3 {
            return try await finish(raw, probe, raw.path, raw.isOurs, sound)
        }
        let output = folder.file("converted.\(format.rawValue)")
        try await ffmpeg.extractAudio(
            from: raw.path, to: output, probe: probe, variant: variant, tags: tags(raw, probe),
            cover: await cover(raw), onProgress: onProgress)
        var product = probe
        if product.durationSeconds == nil { product.durationSeconds = try await ffmpeg.probe(output)?.durationSeconds }
        if let cut = variant.cut { product.durationSeconds = cut.seconds(of: probe.durationSeconds) }
        return try await finish(raw, product, output, true, sound)
    }

    /// Returns what is still to be done to get the wanted form.
    func remainingVariant(_ raw: Raw) -> MediaVariant {
        var variant = job.variant
        if raw.isCut { variant.cut = nil }
        return variant
    }

    func tags(_ raw: Raw, _ probe: MediaProbe) -> MediaTags {
        MediaTags(
            title: title(raw, probe), performer: performer(raw, probe),
            link: raw.info == nil ? nil : job.identity.normalizedURL)
    }

    /// Returns the site's picture as a cover; nil if there is none, or it cannot be read.
    private func cover(_ raw: Raw) async -> String? {
        guard let picture = raw.cover else { return nil }
        let output = folder.file("cover.jpg")
        do throws(MediaError) { try await ffmpeg.makeCover(from: picture, to: output) } catch { return nil }
        return fileSize(output) > 0 ? output : nil
    }

    // MARK: - Describing the result

    /// Moves the finished file to its place and describes it.
    func finish(
        _ raw: Raw, _ probe: MediaProbe?, _ product: String, _ isOurs: Bool, _ kind: FileKind
    ) async throws(MediaError) -> MediaFetched {
        // What a file does not say of itself is known once it has been converted.
        try settings.limits.check(seconds: probe?.durationSeconds, .standard)
        let path = folder.file(
            "media-\(job.address.hash.prefix(16)).\(kind.keepsName ? "bin" : kind.fileExtension ?? "bin")")
        try await place(product, at: path, isOurs)
        var sha256 = raw.path == product ? raw.sha256 : nil
        if sha256 == nil { sha256 = try await HashingWriter.hash(path, isDurable: settings.isDurable) }
        return described(raw, probe, kind, path: path, sizeBytes: fileSize(path), sha256: sha256)
    }

    func described(
        _ raw: Raw, _ probe: MediaProbe?, _ kind: FileKind, path: String, sizeBytes: Int64, sha256: String?
    ) -> MediaFetched {
        let title = title(raw, probe)
        let name = raw.info == nil ? raw.fileName ?? title : title
        let fallback = String(job.address.hash.prefix(16))
        let fileName = kind.fileName(from: name, fallback: fallback)
        return MediaFetched(
            kind: job.kind, key: job.address.key, path: path,
            metadata: MediaMetadata(
                content: FileContent(sizeBytes: sizeBytes, sha256: sha256, contentType: kind.contentType),
                fileName: fileName, origin: origin, description: description(raw, probe)))
    }

    private var origin: MediaOrigin {
        MediaOrigin(
            sourceURL: job.identity.sourceURL, normalizedURL: job.identity.normalizedURL, domain: job.identity.domain,
            fetchedAt: Timestamp.now.description)
    }

    private func description(_ raw: Raw, _ probe: MediaProbe?) -> MediaDescription {
        let duration = probe?.durationSeconds ?? raw.info?.durationSeconds ?? job.durationSeconds
        let picture = job.kind == .audio ? nil : probe
        return MediaDescription(
            title: title(raw, probe), performer: performer(raw, probe),
            durationSeconds: duration.map { JSONNumber($0) },
            width: raw.picture?.width ?? picture?.width.map { Int64($0) },
            height: raw.picture?.height ?? picture?.height.map { Int64($0) })
    }

    private func title(_ raw: Raw, _ probe: MediaProbe?) -> String? {
        raw.info?.title ?? raw.details?.title ?? job.title ?? probe?.title ?? raw.fileName.map(FileName.stem)
    }

    private func performer(_ raw: Raw, _ probe: MediaProbe?) -> String? {
        raw.info?.performer ?? raw.details?.performer ?? raw.performer ?? job.performer ?? probe?.performer
    }

    /// Moves a file of the job; links, or else copies, a file that is not the job's own.
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

    func fileSize(_ path: String) -> Int64 {
        var info = stat()
        return stat(path, &info) == 0 ? Int64(info.st_size) : 0
    }
}
