import Glibc
import HTTP
import JSON
import Payloads
import Process
import Synchronization
import System

/// Fetches from the sites that yt-dlp supports by running it twice: to describe the video, then to download it.
struct YtDlp: Sendable {
    var settings: YtDlpSettings
    var ffmpegProgram: String
    var jail = HelperJail()
    var folder: JobFolder
    var kind: MediaKind
    var addressPolicy: AddressPolicy
    var maxBytes: Int64
    var deadline: ContinuousClock.Instant
    /// A download that grows by fewer bytes per second is ended. yt-dlp may also pause between parts, so the time is twice as
    /// long as for one server.
    var minimumRate = HTTPRequest.MinimumRate(bytesPerSecond: 8192, over: .seconds(60))

    struct Outcome: Sendable {
        var path: String
        var info: VideoInfo
    }

    /// Describes and downloads a video.
    ///
    /// - Parameter onInfo: gets the description before the download; an error that it throws ends the run.
    /// - Throws: `MediaError`.
    func run(
        _ url: String, onProgress: @escaping ProgressHandler,
        onInfo: (VideoInfo) async throws(MediaError) -> Void = { _ in }
    ) async throws(MediaError) -> Outcome {
        try prepareFolder()
        defer { removeLeftovers() }
        let cookies = try copyCookies()
        defer { if let cookies { unlink(cookies) } }
        let network = try HelperJail.network(listens: true)
        let proxy = usesProxyOfEnvironment ? nil : AddressGuardProxy(policy: addressPolicy, in: network)
        defer { proxy?.stop() }
        let place = Place(
            environment: childEnvironment(proxy), cookies: cookies,
            network: proxy == nil ? .open(network) : .only(network))
        let info = try await describe(url, place)
        try await onInfo(info)
        onProgress(MediaProgress(.downloading, fraction: 0, totalBytes: info.estimatedBytes, title: info.title))
        let path = try await download(info, place, onProgress)
        return Outcome(path: path, info: info)
    }

    /// Holds what both runs of a job have in common.
    private struct Place {
        var environment: [String: String]
        var cookies: String?
        var network: Jail.Network
    }

    // MARK: - The folder

    /// The one folder that yt-dlp may change. This program's own files of the job are beside it, out of yt-dlp's reach.
    private var work: String { folder.file("yt-dlp") }

    /// The folder for caches and temporary files.
    private var home: String { "\(work)/home" }

    private func prepareFolder() throws(MediaError) {
        removeAll(home)
        let made = makeFolders(home, mode: 0o700)
        guard made.error == 0 else { throw .local("make a folder", made.error) }
    }

    /// Removes everything but partial downloads.
    private func removeLeftovers() {
        removeAll(home)
        rmdir(work)
    }

    // MARK: - The two runs

    private func describe(_ url: String, _ place: Place) async throws(MediaError) -> VideoInfo {
        let answer = folder.file("extracted.json")
        var run = run(place, processorTime: YtDlp.processorTimeOfDescription)
        // Two entries are enough to tell a list from a page that holds one video.
        run.command.arguments +=
            ["--simulate", "--playlist-items", "1:2", "--lazy-playlist", "-J"] + settings.extraArguments + ["--", url]
        run.outputFile = answer
        run.command.maxFileBytes = UInt64(YtDlp.maxInfoBytes)
        defer { unlink(answer) }
        let exit = try await run.runHelper()
        guard exit.isSuccess else { throw failure(exit) }
        guard let json = SmallFile.read(answer, maxBytes: YtDlp.maxInfoBytes) else {
            throw MediaError(.extractorFailed, "yt-dlp's answer cannot be read.")
        }
        let info = try VideoInfo(json)
        if let bytes = info.estimatedBytes, Double(bytes) > Double(maxBytes) * info.tolerance {
            throw .tooLarge(bytes: bytes, maxBytes: maxBytes)
        }
        return info
    }

    private func download(
        _ info: VideoInfo, _ place: Place, _ onProgress: @escaping ProgressHandler
    ) async throws(MediaError) -> String {
        // The description can hold cookies.
        defer { unlink(infoFile) }
        try SmallFile.write(info.json, to: infoFile)
        var run = run(place, processorTime: jail.processorTime)
        run.command.maxFileBytes = UInt64(maxBytes)
        run.command.arguments += [
            "--no-simulate", "--load-info-json", infoFile, "--output", "media.%(ext)s", "--max-filesize", "\(maxBytes)",
            "--continue", "--no-mtime", "--no-quiet", "--newline", "--progress", "--progress-delta", "0.2",
            "--progress-template",
            "download:\(YtDlpProgress.template)", "--print", "after_move:\(YtDlpProgress.pathTemplate)",
        ]
        run.command.arguments += settings.extraArguments
        let progress = Mutex(YtDlpProgress(info: info))
        let exit = try await runWatched(run) { line in
            if let report = progress.withLock({ $0.take(line) }) { onProgress(report) }
        }
        guard exit.isSuccess else { throw failure(exit) }
        let (path, wasTooLarge) = progress.withLock { ($0.path, $0.wasTooLarge) }
        if wasTooLarge { throw .tooLarge(bytes: nil, maxBytes: maxBytes) }
        guard let path, let file = finishedFile(path) else {
            throw MediaError(.extractorFailed, "yt-dlp delivered no file.")
        }
        return file
    }

    /// Runs a download until its end, or until its files grow too slowly.
    private func runWatched(
        _ run: ChildRun, onLine: @escaping @Sendable (String) -> Void
    ) async throws(MediaError) -> ChildRun.Exit {
        enum Ending: Sendable {
            case run(Result<ChildRun.Exit, MediaError>)
            case watch(isTooSlow: Bool)
        }
        let result: Result<ChildRun.Exit, MediaError> = await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                do throws(MediaError) { return .run(.success(try await run.runHelper(onLine: onLine))) } catch {
                    return .run(.failure(error))
                }
            }
            group.addTask { .watch(isTooSlow: await growsTooSlowly()) }
            var wasTooSlow = false
            for await ending in group {
                switch ending {
                case .run(let result):
                    group.cancelAll()
                    return wasTooSlow ? .failure(MediaError(.timedOut, "The site sends too slowly.")) : result
                case .watch(let isTooSlow):
                    wasTooSlow = isTooSlow
                    if isTooSlow { group.cancelAll() }
                }
            }
            return .failure(.cancelled)
        }
        return try result.get()
    }

    /// Returns true as soon as the files have grown too slowly, and false when its task is cancelled. Files that are merged and
    /// removed count as well.
    private func growsTooSlowly() async -> Bool {
        let window = minimumRate.window * 2
        let least = Int64(clamping: Int(minimumRate.bytesPerSecond * (window / .seconds(1))))
        var before = WorkSpace.size(of: work)
        while (try? await Task.sleep(for: window)) != nil {
            let now = WorkSpace.size(of: work)
            if (now - before).magnitude < least { return true }
            before = now
        }
        return false
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

    private func failure(_ exit: ChildRun.Exit) -> MediaError {
        switch exit.cause {
        case .overdue: MediaError(.timedOut, "The download took too long.")
        case .flooded: MediaError(.extractorFailed, "yt-dlp printed too much.")
        case .ended(.signalled(SIGXCPU)):
            MediaError(.timedOut, "The download took too much processor time.", isTransient: false)
        case .ended(.signalled(let signal)):
            MediaError(.extractorFailed, "yt-dlp was killed (signal \(signal)).", isTransient: true)
        case .cancelled: .cancelled
        case .ended(.exited): YtDlpMessage.error(exit.errorLines, maxBytes: maxBytes)
        }
    }

    // MARK: - The command line

    private static let maxInfoBytes = 32 << 20
    private static let processorTimeOfDescription = Duration.seconds(600)

    private var infoFile: String { "\(work)/info.json" }

    private func run(_ place: Place, processorTime: Duration) -> ChildRun {
        var arguments = [
            "--ignore-config", "--no-warnings", "--no-playlist", "--no-exec", "--color", "never",
            "--socket-timeout", "20", "--retries", "5", "--format", formats, "--merge-output-format", "mp4/mkv",
            "--postprocessor-args", "ffmpeg_i:" + FFmpeg.inputOptions.joined(separator: " "),
        ]
        if isGuarded {
            arguments += ["--downloader-args", "ffmpeg_i:-protocol_whitelist http,https,httpproxy,tls,tcp,crypto,data"]
        }
        if ffmpegProgram.contains("/") { arguments += ["--ffmpeg-location", ffmpegProgram] }
        if let cookies = place.cookies { arguments += ["--cookies", cookies] }
        var command = Command(settings.program, arguments, environment: place.environment, directory: work)
        let (ffmpeg, ffprobe) = (ffmpegProgram, FFmpeg.probeProgram(beside: ffmpegProgram))
        command.jail = jail.forExtractor(
            [settings.program, ffmpeg, ffprobe], network: place.network, folder: work, processorTime: processorTime)
        return ChildRun(command, timeout: max(.milliseconds(1), deadline - .now))
    }

    /// The formats to download: mp4 first, because that is stored without a conversion, and only protocols that the
    /// proxy covers when there is one.
    private var formats: String {
        let safe =
            isGuarded
            ? "[protocol~='^(https?|m3u8(_native)?|http_dash_segments(_generator)?|ism)$']" : ""
        return switch kind {
        case .video: "bv*[ext=mp4]\(safe)+ba[ext=m4a]\(safe)/b[ext=mp4]\(safe)/bv*\(safe)+ba\(safe)/b\(safe)"
        case .audio: "ba[ext=m4a]\(safe)/ba\(safe)/b\(safe)"
        }
    }

    /// Is true if all connections are made by the environment's proxy. yt-dlp then needs a network of which this program
    /// controls nothing.
    private var usesProxyOfEnvironment: Bool { addressPolicy == .any && !HelperEnvironment.proxies().isEmpty }

    private var isGuarded: Bool { !usesProxyOfEnvironment }

    private func childEnvironment(_ proxy: AddressGuardProxy?) -> [String: String] {
        var environment = HelperEnvironment.variables(home: home)
        environment["PYTHONIOENCODING"] = "utf-8"
        environment.merge(proxy?.environment ?? HelperEnvironment.proxies()) { $1 }
        return environment
    }

    private func copyCookies() throws(MediaError) -> String? {
        guard let file = settings.cookiesFile else { return nil }
        guard let bytes = SmallFile.readBytes(file, maxBytes: 8 << 20) else {
            throw MediaError(.localIO, "The file with the site's cookies cannot be read.")
        }
        let copy = "\(work)/cookies.txt"
        try SmallFile.write(bytes, to: copy)
        return copy
    }
}

/// Describes one video, as yt-dlp reports it.
struct VideoInfo: Sendable {
    /// The whole description, for the second run.
    let json: JSONObject
    let title: String?
    let performer: String?
    let durationSeconds: Double?
    let webpageURL: String?
    /// The size of all chosen formats together.
    let estimatedBytes: Int64?
    /// The factor by which the size may exceed the estimate: sizes derived from a bit rate are guesses.
    let tolerance: Double

    /// Reads yt-dlp's answer.
    ///
    /// - Throws: `playlist`, `live`, or `noMedia` when the answer is not one finished video.
    init(_ answer: JSONObject) throws(MediaError) {
        json = try VideoInfo.single(answer)
        let status = json["live_status"]?.string
        if json["is_live"]?.bool == true || status == "is_live" {
            throw MediaError(.live, "That is a live stream; try again when it is over.")
        }
        if status == "is_upcoming" { throw MediaError(.live, "That has not begun yet; try again when it is over.") }
        title = VideoInfo.title(json)
        performer = (json["artist"] ?? json["uploader"] ?? json["channel"])?.string.flatMap { OneLine($0) }?.text
        durationSeconds = json["duration"]?.double.flatMap { $0 > 0 ? $0 : nil }
        webpageURL = json["webpage_url"]?.string
        let formats = json["requested_formats"]?.array ?? [.object(json)]
        let exact = formats.compactMap { $0["filesize"]?.int }
        let sizes = formats.compactMap { format in
            format["filesize"]?.int ?? format["filesize_approx"]?.double.flatMap { Int64(exactly: $0.rounded()) }
        }
        estimatedBytes = sizes.count == formats.count ? sizes.reduce(0) { $0.addingClamped($1) } : nil
        tolerance = exact.count == formats.count ? 1 : 1.25
    }

    /// Returns the title, without the number that yt-dlp adds to embedded videos even when there is only one.
    private static func title(_ json: JSONObject) -> String? {
        guard var text = json["title"]?.string else { return nil }
        let number = " (1)"
        if json["extractor"] == "html5", text.hasSuffix(number) { text.removeLast(number.count) }
        return OneLine(text)?.text
    }

    private static func single(_ answer: JSONObject) throws(MediaError) -> JSONObject {
        guard let type = answer["_type"]?.string, type != "video" else { return answer }
        let entries = (answer["entries"]?.array ?? []).compactMap(\.object)
        guard let only = entries.first else {
            throw MediaError(.noMedia, "There is no video that I can find at that link.")
        }
        guard entries.count == 1, (answer["playlist_count"]?.int ?? 1) <= 1 else {
            throw MediaError(.playlist, "That is a list of videos; send the link of one of them.")
        }
        return try single(only)
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
        currentBytes = progress["downloaded_bytes"]?.wholeNumber ?? currentBytes
        let done = finishedBytes.addingClamped(currentBytes)
        let ofFormat = progress["total_bytes"]?.wholeNumber ?? progress["total_bytes_estimate"]?.wholeNumber
        let total = estimatedBytes ?? ofFormat.map { finishedBytes.addingClamped($0) }
        return MediaProgress(
            .downloading, fraction: total.map { $0 > 0 ? min(1, Double(done) / Double($0)) : 0 }, doneBytes: done,
            totalBytes: total.map { max($0, done) }, bytesPerSecond: progress["speed"]?.double, title: title)
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
    /// The number rounded to a whole one.
    fileprivate var wholeNumber: Int64? { int ?? double.flatMap { Int64(exactly: $0.rounded()) } }
}

extension String {
    /// Returns the text after a prefix; nil when the text does not begin with it.
    fileprivate func dropping(_ prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}
