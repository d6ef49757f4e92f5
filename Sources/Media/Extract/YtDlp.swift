import Glibc
import HTTP
import Synchronization

/// Fetches from the sites that yt-dlp knows, by running it: once for what there is, once to download it.
struct YtDlp: Sendable {
    var settings: YtDlpSettings
    var ffmpegProgram: String
    var folder: JobFolder
    var kind: MediaKind
    var addressPolicy: AddressPolicy
    var maxBytes: Int64
    var deadline: ContinuousClock.Instant

    struct Outcome: Sendable {
        var path: String
        var info: VideoInfo
    }

    /// - Parameter onInfo: told what there is before it is downloaded; what it throws ends the run.
    func run(
        _ url: String, onProgress: @escaping ProgressHandler,
        onInfo: (VideoInfo) async throws(MediaError) -> Void = { _ in }
    ) async throws(MediaError) -> Outcome {
        let cookies = try copyCookies()
        defer { if let cookies { unlink(cookies) } }
        let proxy = try addressPolicy == .publicOnly ? AddressGuardProxy(policy: addressPolicy) : nil
        defer { proxy?.stop() }
        let environment = childEnvironment(proxy)
        let info = try await describe(url, cookies, environment)
        try await onInfo(info)
        onProgress(MediaProgress(.downloading, fraction: 0, totalBytes: info.estimatedBytes, title: info.title))
        let path = try await download(info, cookies, environment, onProgress)
        return Outcome(path: path, info: info)
    }

    // MARK: - The two runs

    private func describe(_ url: String, _ cookies: String?, _ environment: [String: String]) async throws(MediaError)
        -> VideoInfo
    {
        let answer = folder.file("extracted.json")
        var command = command(environment, cookies)
        // Two entries are enough to tell a list from a page that holds one video.
        command.arguments +=
            ["--simulate", "--playlist-items", "1:2", "--lazy-playlist", "-J"] + settings.extraArguments + ["--", url]
        command.outputFile = answer
        command.maxFileBytes = UInt64(YtDlp.maxInfoBytes)
        defer { unlink(answer) }
        let exit = try await GuardedChild.run(command)
        guard exit.isSuccess else { throw failure(exit) }
        guard let json = SmallFile.read(answer, maxBytes: YtDlp.maxInfoBytes) else {
            throw MediaError(.extractorFailed, "yt-dlp found something that cannot be read.")
        }
        let info = try VideoInfo(json)
        if let bytes = info.estimatedBytes, Double(bytes) > Double(maxBytes) * info.tolerance {
            throw .tooLarge(bytes: bytes, maxBytes: maxBytes)
        }
        return info
    }

    private func download(
        _ info: VideoInfo, _ cookies: String?, _ environment: [String: String], _ onProgress: @escaping ProgressHandler
    ) async throws(MediaError) -> String {
        // It can hold cookies.
        defer { unlink(infoFile) }
        try SmallFile.write(info.json, to: infoFile)
        var command = command(environment, cookies)
        command.maxFileBytes = UInt64(maxBytes)
        command.arguments += [
            "--no-simulate", "--load-info-json", infoFile, "--output", "media.%(ext)s", "--max-filesize", "\(maxBytes)",
            "--continue", "--no-mtime", "--no-quiet", "--newline", "--progress", "--progress-delta", "0.2",
            "--progress-template",
            "download:\(YtDlpProgress.template)", "--print", "after_move:\(YtDlpProgress.pathTemplate)",
        ]
        command.arguments += settings.extraArguments
        let progress = Mutex(YtDlpProgress(info: info))
        let exit = try await GuardedChild.run(command) { line in
            if let report = progress.withLock({ $0.take(line) }) { onProgress(report) }
        }
        guard exit.isSuccess else { throw failure(exit) }
        let (path, wasTooLarge) = progress.withLock { ($0.path, $0.wasTooLarge) }
        if wasTooLarge { throw .tooLarge(bytes: nil, maxBytes: maxBytes) }
        guard let path, let file = finishedFile(path) else {
            throw MediaError(.extractorFailed, "yt-dlp brought no file.")
        }
        return file
    }

    /// The file that yt-dlp says it made, if it is one of this folder's.
    private func finishedFile(_ path: String) -> String? {
        let file = folder.file(path.lastComponent)
        var info = stat()
        guard path.lastComponent.hasPrefix("media."), lstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return file
    }

    private func failure(_ exit: ChildExit) -> MediaError {
        switch exit.cause {
        case .overdue: MediaError(.timedOut, "The download took too long.")
        case .flooded: MediaError(.extractorFailed, "yt-dlp printed without an end.")
        case .killed(let signal):
            MediaError(.extractorFailed, "yt-dlp was killed (signal \(signal)).", isTemporary: true)
        case .exited: YtDlpMessage.error(exit.errorLines, maxBytes: maxBytes)
        }
    }

    // MARK: - The command line

    private static let maxInfoBytes = 32 << 20

    private var infoFile: String { folder.file("info.json") }

    private func command(_ environment: [String: String], _ cookies: String?) -> ChildCommand {
        var arguments = [
            "--ignore-config", "--no-warnings", "--no-playlist", "--no-exec", "--color", "never",
            "--socket-timeout", "20", "--retries", "5", "--format", formats, "--merge-output-format", "mp4/mkv",
            "--postprocessor-args", "ffmpeg_i:" + FFmpeg.inputOptions.joined(separator: " "),
        ]
        if addressPolicy == .publicOnly {
            arguments += ["--downloader-args", "ffmpeg_i:-protocol_whitelist http,https,httpproxy,tls,tcp,crypto,data"]
        }
        if ffmpegProgram.contains("/") { arguments += ["--ffmpeg-location", ffmpegProgram] }
        if let cookies { arguments += ["--cookies", cookies] }
        return ChildCommand(
            program: settings.program, arguments: arguments, environment: environment, directory: folder.path,
            deadline: max(.milliseconds(1), deadline - .now))
    }

    /// mp4 first: it is what is stored. Only protocols that go through the proxy, when there is one.
    private var formats: String {
        let safe =
            addressPolicy == .publicOnly
            ? "[protocol~='^(https?|m3u8(_native)?|http_dash_segments(_generator)?|ism)$']" : ""
        return switch kind {
        case .video: "bv*[ext=mp4]\(safe)+ba[ext=m4a]\(safe)/b[ext=mp4]\(safe)/bv*\(safe)+ba\(safe)/b\(safe)"
        case .audio: "ba[ext=m4a]\(safe)/ba\(safe)/b\(safe)"
        }
    }

    private func childEnvironment(_ proxy: AddressGuardProxy?) -> [String: String] {
        var environment = ChildEnvironment.inherited()
        environment["PYTHONIOENCODING"] = "utf-8"
        environment.merge(proxy?.environment ?? ChildEnvironment.proxies()) { $1 }
        return environment
    }

    private func copyCookies() throws(MediaError) -> String? {
        guard let file = settings.cookiesFile else { return nil }
        guard let bytes = SmallFile.readBytes(file, maxBytes: 8 << 20) else {
            throw MediaError(.localIO, "The file with the site's cookies cannot be read.")
        }
        let copy = folder.file("cookies.txt")
        try SmallFile.write(bytes, to: copy)
        return copy
    }
}
