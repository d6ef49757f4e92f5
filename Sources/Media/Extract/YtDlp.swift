import Glibc
import HTTP
import JSON
import Payloads
import Process
import Synchronization
import System

/// Fetches from the sites that yt-dlp supports by running it twice: to describe the video, then to download it.
struct YtDlp: Sendable {
    /// The settings for all sites, with those of this one added.
    var settings: ExtractorSettings
    /// The proxy that leads to the site; nil if it is reached directly.
    var proxy: ServerProxy?
    var ffmpegProgram: String
    var jail = HelperJail()
    var folder: JobFolder
    var kind: MediaKind
    var variant: MediaVariant = .standard
    var addressPolicy: AddressPolicy
    var maxBytes: Int64
    var limits = ContentLimits()
    /// The size by which formats are chosen. It exceeds `maxBytes` if another worker fetches larger files.
    var largestBytes: Int64
    var deadline: ContinuousClock.Instant
    /// The size up to which a smaller picture is taken, if the site has one that fits; nil takes the best in any case.
    var fitBytes: Int64?
    /// The settings of the site; nil for one that has none.
    var site: Site?
    /// Checks what yt-dlp has described.
    var checkAnswer: @Sendable (JSONObject) throws(MediaError) -> Void = { _ in }
    /// A download that grows by fewer bytes per second is ended. yt-dlp may also pause between parts, so the time is twice as
    /// long as for one server.
    var minimumRate = HTTPRequest.MinimumRate(bytesPerSecond: 8192, over: .seconds(60))

    struct Outcome: Sendable {
        var path: String
        var info: VideoInfo
        /// The path of a picture that the site shows for sound, in any form.
        var cover: String?
        /// The path of a file with the subtitles that are to be drawn into the picture.
        var subtitles: String?
        /// Is true if the file is the wanted part, and not the whole.
        var isCut = false
    }

    /// Describes and downloads a video.
    ///
    /// - Parameter onIdentity: gets the identity of the video before the download. It differs from the given one if the
    ///   site reports another page as the video's own. An error that it throws ends the run.
    /// - Throws: `MediaError`.
    func run(
        _ identity: SourceIdentity, onProgress: @escaping ProgressHandler,
        onIdentity: (SourceIdentity) async throws(MediaError) -> Void = { _ in }
    ) async throws(MediaError) -> Outcome {
        let place = try program.prepare()
        defer { program.cleanUp(place) }
        var (found, info) = try await find(identity, place)
        try limits.check(info, variant)
        let subtitles = try variant.subtitles.map { wanted throws(MediaError) in try info.subtitles(in: wanted) }
        var fitting = self
        let share = info.share(of: variant.cut)
        if let picture = info.picture(upTo: fitBytes.map { $0.divided(by: share) }, variant), kind == .video {
            fitting.variant.maxHeight = picture.height
            info.estimatedBytes = picture.sizeBytes
        }
        if let bytes = info.estimatedBytes, Double(bytes) * share > Double(maxBytes) * info.tolerance {
            throw .tooLarge(bytes: bytes, maxBytes: maxBytes)
        }
        try await onIdentity(found)
        onProgress(MediaProgress(.downloading, fraction: 0, totalBytes: info.estimatedBytes, title: info.title))
        let section = try await fitting.downloadSection(info, subtitles, place, onProgress)
        let path: String
        if let section {
            path = section
        } else {
            path = try await fitting.downloadFitting(&info, subtitles, place, onProgress)
        }
        program.refreshCookies(place)
        return Outcome(
            path: path, info: info, cover: keptCover(), subtitles: variant.burnsSubtitles ? try keptSubtitles() : nil,
            isCut: section != nil)
    }

    /// Describes a video, and downloads nothing.
    func describe(_ identity: SourceIdentity) async throws(MediaError) -> VideoInfo {
        let place = try program.prepare()
        defer { program.cleanUp(place) }
        return try await find(identity, place).1
    }

    /// The program with its folder, its network and its limits.
    var program: SiteProgram {
        SiteProgram(
            settings: settings, proxy: proxy, helpers: [ffmpegProgram, FFmpeg.probeProgram(beside: ffmpegProgram)],
            jail: jail, folder: folder, name: "yt-dlp", addressPolicy: addressPolicy, maxBytes: maxBytes,
            deadline: deadline, minimumRate: minimumRate, site: site)
    }

    /// The one folder that yt-dlp may change.
    var work: String { program.work }

    // MARK: - The two runs

    /// Describes the video that an identity names, or the one that it leads to.
    ///
    /// A page can lead to a video with a page of its own, and can claim anything about it. The video gets the identity
    /// of its own page only if that page leads to it, with that page's description.
    private func find(
        _ identity: SourceIdentity, _ place: SiteProgram.Place
    ) async throws(MediaError) -> (SourceIdentity, VideoInfo) {
        let info = try await describe(identity.fetchURL, place)
        if let page = info.page, page.normalizedURL != identity.normalizedURL,
            var own = try? await describe(page.fetchURL, place), page.isMet(by: own),
            own.page?.normalizedURL == page.normalizedURL
        {
            own.viewerAge = [own.viewerAge, info.viewerAge].compactMap { $0 }.max()
            return (page, own)
        }
        guard identity.isMet(by: info) else {
            throw MediaError(.unsupported, "The site answered with another video than the one at that link.")
        }
        return (identity, info)
    }

    private func describe(_ url: String, _ place: SiteProgram.Place) async throws(MediaError) -> VideoInfo {
        var run = run(place, processorTime: YtDlp.processorTimeOfDescription)
        // Two entries are enough to tell a list from a page that holds one video.
        run.command.arguments += ["--simulate", "--playlist-items", variant.item.map(String.init) ?? "1:2"]
        return try VideoInfo(try await answer(of: run, url, place), isOfList: variant.item != nil)
    }

    /// Lists the videos of a list without describing them.
    ///
    /// - Parameter range: the places to list. Sites are not asked for what follows, as far as they list page by page.
    func list(_ url: String, _ range: ItemRange) async throws(MediaError) -> JSONObject {
        let place = try program.prepare()
        defer { program.cleanUp(place) }
        var run = run(place, processorTime: YtDlp.processorTimeOfDescription)
        run.command.arguments += [
            "--yes-playlist", "--flat-playlist", "--playlist-items", "\(range.first):\(range.last)",
        ]
        return try await answer(of: run, url, place)
    }

    private func answer(
        of run: ChildRun, _ url: String, _ place: SiteProgram.Place
    ) async throws(MediaError) -> JSONObject {
        let answer = folder.file("extracted.json")
        var run = run
        run.command.arguments += ["--lazy-playlist", "-J"] + settings.extraArguments + ["--", url]
        run.outputFile = answer
        run.command.maxFileBytes = UInt64(YtDlp.maxInfoBytes)
        defer { unlink(answer) }
        let exit = try await runWatched(run, isDownload: false)
        guard exit.isSuccess else { throw failure(exit, of: url, place) }
        guard let json = SmallFile.read(answer, maxBytes: YtDlp.maxInfoBytes) else {
            throw MediaError(.extractorFailed, "yt-dlp's answer cannot be read.")
        }
        try checkAnswer(json)
        return json
    }

    /// - Parameters:
    ///   - maxBytes: the size at which the download ends with `tooLarge`.
    ///   - section: further arguments, which select a part.
    func download(
        _ info: VideoInfo, _ subtitles: String?, _ place: SiteProgram.Place, upTo maxBytes: Int64,
        section: [String] = [],
        _ onProgress: @escaping ProgressHandler
    ) async throws(MediaError) -> String {
        // The description can hold cookies.
        defer { unlink(infoFile) }
        try program.give(JSON.object(info.json).bytes, as: infoFile)
        var run = run(place, processorTime: jail.processorTime)
        run.command.maxFileBytes = UInt64(self.maxBytes)
        run.command.arguments += [
            "--no-simulate", "--load-info-json", infoFile, "--output", "media.%(ext)s", "--max-filesize", "\(maxBytes)",
            "--continue", "--no-mtime", "--no-quiet", "--newline", "--progress", "--progress-delta", "0.2",
            "--progress-template",
            "download:\(YtDlpProgress.template)", "--print", "after_move:\(YtDlpProgress.pathTemplate)",
        ]
        run.command.arguments += ["--embed-chapters"] + section
        if kind == .audio, info.hasPicture {
            run.command.arguments += ["--write-thumbnail", "--output", "thumbnail:cover.%(ext)s"]
        }
        if let subtitles {
            run.command.arguments += [
                "--write-subs", "--write-auto-subs", "--sub-langs", subtitles,
            ]
            run.command.arguments += variant.burnsSubtitles ? ["--sub-format", "vtt/srt/ass/best"] : ["--embed-subs"]
        }
        run.command.arguments += settings.extraArguments
        let progress = Mutex(YtDlpProgress(info: info, maxBytes: maxBytes))
        let exit = try await runWatched(
            run, isDownload: true, until: { progress.withLock { $0.excessBytes != nil } },
            onLine: { line in
                if let report = progress.withLock({ $0.take(line) }) { onProgress(report) }
            })
        if let excess = progress.withLock({ $0.excessBytes }) { throw .tooLarge(bytes: excess, maxBytes: maxBytes) }
        guard exit.isSuccess else { throw failure(exit, of: info.page?.fetchURL ?? "", place) }
        let (path, wasTooLarge) = progress.withLock { ($0.path, $0.wasTooLarge) }
        if wasTooLarge { throw .tooLarge(bytes: nil, maxBytes: maxBytes) }
        guard let path, let file = finishedFile(path) else {
            throw MediaError(.extractorFailed, "yt-dlp delivered no file.")
        }
        return file
    }

    /// Returns the path of the file that yt-dlp reports, if that file is in this job's folder.
    private func finishedFile(_ path: String) -> String? {
        let file = "\(work)/\(lastPathComponent(path))"
        var info = stat()
        guard lastPathComponent(path).hasPrefix("media."), lstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG
        else {
            return nil
        }
        return file
    }

    private func failure(_ exit: ChildRun.Exit, of link: String, _ place: SiteProgram.Place) -> MediaError {
        if let error = program.failure(exit) { return error }
        let error = YtDlpMessage.error(exit.errorLines, link: link, maxBytes: maxBytes)
        return program.blaming(error, of: YtDlpMessage.extractor(exit.errorLines), place)
    }

    // MARK: - The command line

    private static let maxInfoBytes = 32 << 20
    private static let processorTimeOfDescription = Duration.seconds(600)

    private var infoFile: String { "\(work)/info.json" }

    private func run(_ place: SiteProgram.Place, processorTime: Duration) -> ChildRun {
        var arguments = [
            "--ignore-config", "--no-warnings", "--no-playlist", "--no-exec", "--color", "never",
            "--socket-timeout", "20", "--retries", "5", "--format", formats, "--format-sort", order,
            "--merge-output-format", "mp4/mkv",
            "--postprocessor-args", "ffmpeg_i:" + FFmpeg.inputOptions.joined(separator: " "),
        ]
        if program.isGuarded {
            arguments += ["--downloader-args", "ffmpeg_i:-protocol_whitelist http,https,httpproxy,tls,tcp,crypto,data"]
        }
        if ffmpegProgram.contains("/") { arguments += ["--ffmpeg-location", ffmpegProgram] }
        if place.cookies != nil { arguments += ["--cookies", program.cookiesCopy] }
        return program.run(arguments, place, processorTime: processorTime)
    }

    /// The order of the formats: of the same picture, H.264 and AAC come first, which play everywhere.
    private var order: String {
        // The largest picture up to the height comes first, and then the smallest above it.
        (variant.maxHeight.map { "res:\($0)," } ?? "") + "lang,quality,res,vcodec:h264,acodec:aac"
    }

    /// The formats to download: mp4 first, because that is stored without a conversion, and only protocols that the
    /// proxy covers when there is one. A smaller picture comes before one that is known to be over the limit.
    private var formats: String {
        let safe =
            program.isGuarded
            ? "[protocol~='^(https?|m3u8(_native)?|http_dash_segments(_generator)?|ism)$']" : ""
        guard kind == .video else {
            let first = variant.audioFormat == .opus ? "ba[acodec=opus]\(safe)/" : ""
            return "\(first)ba[ext=m4a]\(safe)/ba\(safe)/b\(safe)"
        }
        let fitting = "[filesize<?\(largestBytes)][filesize_approx<?\(largestBytes)]"
        return [fitting, ""].map { size in
            "bv*[ext=mp4]\(size)\(safe)+ba[ext=m4a]\(safe)/b[ext=mp4]\(size)\(safe)/bv*\(size)\(safe)+ba\(safe)/b\(size)\(safe)"
        }.joined(separator: "/")
    }
}

extension Int64 {
    /// Returns a sum that stays at the largest number instead of overflowing: sites make sizes up.
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}

/// Reads the lines that yt-dlp prints during a download. The formats of one video follow one another.
struct YtDlpProgress {
    static let template =
        "tgpipe-progress %(progress.{status,downloaded_bytes,total_bytes,total_bytes_estimate,speed})j %(info.format_id)s"
    static let pathTemplate = "tgpipe-path %(filepath)j"

    /// The path of the finished file.
    private(set) var path: String?
    /// Is true if yt-dlp stopped at `--max-filesize`. Its exit status is 0 then.
    private(set) var wasTooLarge = false

    /// The size that the whole video turns out to have, if that is over the limit.
    private(set) var excessBytes: Int64?

    private let maxBytes: Int64
    private let title: String?
    private let estimatedBytes: Int64?
    private let parser = LineParser()
    private var finishedBytes: Int64 = 0
    private var currentFormat = ""
    private var currentBytes: Int64 = 0

    init(info: VideoInfo, maxBytes: Int64 = .max) {
        self.maxBytes = maxBytes
        title = info.title
        estimatedBytes = info.estimatedBytes
    }

    /// Reads a line; returns the progress to report, if any.
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
        currentBytes = progress["downloaded_bytes"]?.byteCount ?? currentBytes
        let done = finishedBytes.addingClamped(currentBytes)
        noteExcess(progress)
        let ofFormat = progress["total_bytes"]?.byteCount ?? progress["total_bytes_estimate"]?.byteCount
        let total = estimatedBytes ?? ofFormat.map { finishedBytes.addingClamped($0) }
        return MediaProgress(
            .downloading, fraction: total.map { $0 > 0 ? min(1, Double(done) / Double($0)) : 0 }, doneBytes: done,
            totalBytes: total.map { max($0, done) }, bytesPerSecond: progress["speed"]?.double, title: title)
    }
}

extension YtDlpProgress {
    /// Notes a size over the limit. An estimate, made from the segments so far, counts from a tenth of the limit on, and
    /// only if it is far over the limit.
    private mutating func noteExcess(_ progress: JSON) {
        if let exact = progress["total_bytes"]?.byteCount {
            let sum = finishedBytes.addingClamped(exact)
            if sum > maxBytes { excessBytes = sum }
        } else if let guess = progress["total_bytes_estimate"]?.byteCount, currentBytes > maxBytes / 10 {
            let sum = finishedBytes.addingClamped(guess)
            if sum / 2 > maxBytes { excessBytes = sum }
        }
        if finishedBytes.addingClamped(currentBytes) > maxBytes {
            excessBytes = finishedBytes.addingClamped(currentBytes)
        }
    }
}

/// Parses JSON in lines. `@unchecked Sendable`: used under its owner's lock.
private final class LineParser: @unchecked Sendable {
    private let parser = JSONParser()

    func parse(_ text: Substring) -> JSON? {
        var text = String(text)
        return try? text.withUTF8 { try parser.parse(UnsafeRawBufferPointer($0)) }
    }
}

extension JSON {
    /// The number of bytes that a site or yt-dlp names, rounded to a whole one; nil for what is none.
    var byteCount: Int64? {
        (int ?? double.flatMap { Int64(exactly: $0.rounded()) }).flatMap { $0 >= 0 ? $0 : nil }
    }
}

extension String {
    /// Returns the text after a prefix; nil when the text does not begin with it.
    fileprivate func dropping(_ prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}
