import Glibc
import Payloads
import Process
import Synchronization
import System

/// Probes and converts media files with ffmpeg. The files are not trusted: ffmpeg gets no network and opens no other
/// file.
struct FFmpeg: Sendable {
    /// A path, or a name to look up in `PATH`.
    var program = "ffmpeg"
    var probeProgram = "ffprobe"
    var deadline: ContinuousClock.Instant
    /// The longest file that ffmpeg may write, in bytes.
    var maxBytes: Int64
    var jail = HelperJail()
    /// The time that one conversion may take. It ends as soon as it is certain to take longer.
    var budget: Duration?

    /// The options before every input: ffmpeg opens only the file itself, and only as a format that holds media
    /// itself. Without them, a playlist that calls itself `.mp4` could put any file of this machine into the result.
    static let inputOptions = [
        "-protocol_whitelist", "file", "-format_whitelist",
        "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mp3,aac,ac3,eac3,flac,ogg,wav,w64,aiff,caf,amr,flv,live_flv,avi,mpegts,mpeg,"
            + "mpegvideo,h264,hevc,asf,asf_o,rm,wv,tta,ape,dts,dv,nut,ivf,au,mxf,gxf,wtv,obu,m4v,mpc,mpc8,xwma,tak,oma",
    ]

    /// Returns the ffprobe that belongs to an ffmpeg, which is a path, or a name to look up in `PATH`.
    static func probeProgram(beside ffmpeg: String) -> String {
        guard let slash = ffmpeg.lastIndex(of: "/") else { return "ffprobe" }
        return "\(ffmpeg[...slash])ffprobe"
    }

    /// Converts a file's sound to a format, all of it or a part, with a cover picture if the format can hold one.
    ///
    /// - Parameter cover: a JPEG; nil for the file's own cover picture.
    func extractAudio(
        from input: String, to output: String, probe: MediaProbe, variant: MediaVariant = .standard, tags: MediaTags,
        cover: String? = nil, onProgress: @escaping ProgressHandler
    ) async throws(MediaError) {
        let sound = SoundFormat(variant.audioFormat ?? .mp3)
        // A copy could begin only between two packets.
        let isCopied = probe.audioCodec == sound.codec && variant.cut == nil
        var options = ["-map", "0:a:0", "-sn", "-dn", "-c:a"] + (isCopied ? ["copy"] : sound.encoder)
        let picture = sound.holdsCover ? cover.map { _ in "1:v:0" } ?? probe.coverIndex.map { "0:\($0)" } : nil
        options += picture.map { ["-map", $0, "-c:v", "copy", "-disposition:v:0", "attached_pic"] } ?? ["-vn"]
        options += ["-map_metadata:g", "-1"] + tags.options
        var job = Conversion(input: input, output: output, options: options + sound.container, cut: variant.cut)
        job.cover = sound.holdsCover ? cover : nil
        try await convert(job, probe, tags.title, onProgress)
    }

    /// Makes a cover picture of any picture: a JPEG of at most 640 pixels.
    func makeCover(from input: String, to output: String) async throws(MediaError) {
        let options = [
            "-frames:v", "1", "-vf",
            "scale=w=640:h=640:force_original_aspect_ratio=decrease:force_divisible_by=2", "-q:v", "4", "-f", "image2",
            "-update", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p",
        ]
        var job = Conversion(input: input, output: output, options: options)
        job.inputOptions = FFmpeg.pictureOptions
        try await convert(job, nil, nil) { _ in }
    }

    /// The options before an input that is a picture.
    private static let pictureOptions = [
        "-protocol_whitelist", "file", "-format_whitelist", "image2,jpeg_pipe,png_pipe,webp_pipe,mjpeg",
    ]

    /// Converts a video, or a part of it, to an mp4 that plays while it arrives. Streams that play in an mp4 are copied; the
    /// pictures of a part that begins later are made anew, because a copy could begin only at a key frame.
    ///
    /// - Parameters:
    ///   - height: the height to which the picture is made smaller, or the width of one that stands upright; nil for the size that
    ///     it has.
    ///   - plan: the rates with which the video is encoded anew in any case.
    ///   - drawn: the path of subtitles to draw into the picture, in a folder of its own.
    func makeMP4(
        from input: String, to output: String, probe: MediaProbe, variant: MediaVariant = .standard, tags: MediaTags,
        scaledTo height: Int64? = nil, plan: EncodingPlan? = nil, drawing drawn: String? = nil,
        onProgress: @escaping ProgressHandler
    ) async throws(MediaError) {
        let isCopied = (variant.cut?.start ?? 0) == 0 && plan == nil
        var options = ["-map", "0:V:0", "-map", "0:a:0?"]
        options += variant.subtitles == nil || drawn != nil ? ["-sn"] : ["-map", "0:s?", "-c:s", "mov_text"]
        options += ["-dn", "-map_metadata:g", "-1"] + tags.options
        options +=
            isCopied && height == nil && drawn == nil && probe.hasPlayableVideo
            ? ["-c:v", "copy"] + (probe.videoCodec == "hevc" ? ["-tag:v", "hvc1"] : [])
            : (plan?.videoOptions ?? ["-c:v", "libx264", "-preset", "veryfast", "-crf", "22", "-pix_fmt", "yuv420p"])
                + ["-vf", FFmpeg.filters(scaledTo: height, drawing: drawn)]
        options +=
            isCopied && probe.hasPlayableAudio
            ? ["-c:a", "copy"] : plan?.audioOptions ?? ["-c:a", "aac", "-b:a", "160k"]
        options += ["-movflags", "+faststart", "-f", "mp4"]
        var job = Conversion(input: input, output: output, options: options, cut: variant.cut)
        job.drawn = drawn
        try await convert(job, probe, tags.title, onProgress)
    }

    /// Returns the filters for the picture. The file with the subtitles is named without its folder: in a path, many characters
    /// would have a meaning.
    private static func filters(scaledTo height: Int64?, drawing drawn: String?) -> String {
        let size = height.map(FFmpeg.scale) ?? "scale=trunc(iw/2)*2:trunc(ih/2)*2"
        return drawn.map { "\(size),subtitles=filename=\(lastPathComponent($0)):charenc=UTF-8" } ?? size
    }

    /// Returns the filter that makes the shorter side of a picture as long as given.
    private static func scale(_ height: Int64) -> String {
        "scale=w='if(gt(iw,ih),-2,\(height / 2 * 2))':h='if(gt(iw,ih),\(height / 2 * 2),-2)'"
    }

    /// Writes a picture of a video as a JPEG of at most 320 pixels.
    func makePreview(of input: String, to output: String, probe: MediaProbe) async throws(MediaError) {
        // The very first picture is often black.
        let second = min(1, (probe.durationSeconds ?? 0) / 4)
        let options = [
            "-map", "0:V:0", "-an", "-sn", "-dn", "-ss", "\(second)", "-frames:v", "1", "-vf",
            "scale=w=320:h=320:force_original_aspect_ratio=decrease:force_divisible_by=2", "-q:v", "5", "-f", "image2",
            "-update", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p",
        ]
        try await convert(Conversion(input: input, output: output, options: options), probe, nil) { _ in }
    }

    /// Names the files and the options of one run of ffmpeg.
    struct Conversion {
        let input: String
        let output: String
        let options: [String]
        var cut: MediaVariant.Cut?
        /// A picture for the second input.
        var cover: String?
        /// Subtitles that a filter reads.
        var drawn: String?
        var inputOptions = FFmpeg.inputOptions

        var arguments: [String] {
            let part = cut.map { cut in
                ["-ss", "\(Double(cut.start) / 1000)"]
                    + (cut.end.map { ["-t", "\(Double($0 - cut.start) / 1000)"] } ?? [])
            }
            let second = cover.map { FFmpeg.pictureOptions + ["-i", "file:\(absolutePath($0))"] } ?? []
            return inputOptions + (part ?? []) + ["-i", "file:\(absolutePath(input))"] + second + options
                + ["file:\(absolutePath(output))"]
        }
    }

    func convert(
        _ job: Conversion, _ probe: MediaProbe?, _ title: String?, _ onProgress: @escaping ProgressHandler
    ) async throws(MediaError) {
        let arguments =
            ["-nostdin", "-hide_banner", "-v", "error", "-nostats", "-progress", "pipe:1", "-y"] + job.arguments
        let seconds = job.cut.map { $0.seconds(of: probe?.durationSeconds) } ?? probe?.durationSeconds
        let progress = Mutex(FFmpegProgress(durationSeconds: seconds, title: title, budget: budget))
        try FFmpeg.makeFile(job.output)
        let exit: ChildRun.Exit
        do throws(MediaError) {
            exit = try await run(
                program, arguments, job.input, job.output, alsoReading: job.cover ?? job.drawn,
                in: job.drawn.map { parentFolder(absolutePath($0)) } ?? "/",
                until: { progress.withLock { $0.isHopeless } },
                { line in if let report = progress.withLock({ $0.take(line) }) { onProgress(report) } })
        } catch {
            // It was cancelled, or did not start.
            unlink(job.output)
            throw error
        }
        if progress.withLock({ $0.isHopeless }) {
            unlink(job.output)
            throw FFmpeg.overdue
        }
        guard exit.isSuccess else {
            unlink(job.output)
            throw failure(exit)
        }
    }

    /// Makes the empty file that ffmpeg is permitted to write.
    private static func makeFile(_ path: String) throws(MediaError) {
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .local("write a file", errno) }
        close(descriptor)
    }

    /// Probes a file; returns nil when it is not readable media.
    func probe(_ path: String) async throws(MediaError) -> MediaProbe? {
        guard let beginning = SmallFile.readBeginning(path, count: MediaSignature.length),
            MediaSignature.isPlausible(beginning)
        else { return nil }
        return try await probe(FFmpeg.inputOptions + ["-i", "file:\(absolutePath(path))"], path)
    }

    /// Probes the beginning of a file, which holds its index. ffprobe reads it from its standard input.
    func probe(beginning: [UInt8]) async throws(MediaError) -> MediaProbe? {
        let options = FFmpeg.inputOptions.map { $0 == "file" ? "pipe" : $0 }
        return try await probe(options + ["-i", "pipe:0"], nil, beginning)
    }

    private func probe(
        _ input: [String], _ path: String?, _ bytes: [UInt8] = []
    ) async throws(MediaError) -> MediaProbe? {
        let arguments = ["-v", "error", "-hide_banner", "-show_format", "-show_streams", "-of", "json"] + input
        let text = Mutex("")
        let exit = try await run(probeProgram, arguments, path, nil, feeding: bytes) { line in
            text.withLock { $0 += line + "\n" }
        }
        if exit.cause == .overdue { throw failure(exit) }
        guard exit.isSuccess else { return nil }
        return MediaProbe(json: text.withLock { $0 })
    }

    private func run(
        _ program: String, _ arguments: [String], _ input: String?, _ output: String?,
        alsoReading second: String? = nil, feeding bytes: [UInt8] = [], in directory: String = "/",
        until isOver: @escaping @Sendable () -> Bool = { false }, _ onLine: @escaping @Sendable (String) -> Void
    ) async throws(MediaError) -> ChildRun.Exit {
        var run = ChildRun(
            Command(
                program, arguments, environment: HelperEnvironment.variables(home: "/"), directory: directory,
                maxFileBytes: UInt64(maxBytes)),
            timeout: max(.milliseconds(1), min(deadline - .now, budget ?? deadline - .now)))
        run.command.jail = try jail.forConverter(
            program, input: input.map(absolutePath), output: output.map(absolutePath),
            processorTime: output == nil ? FFmpeg.processorTimeOfProbe : jail.processorTime)
        run.command.jail?.readable += second.map { [absolutePath($0)] } ?? []
        run.maxOutputBytes = 16 << 20
        run.input = bytes
        return try await run.runHelper(until: isOver, onLine: onLine)
    }

    /// The error of a conversion that takes longer than it may.
    static let overdue = MediaError(.timedOut, "The conversion took too long.")

    private static let processorTimeOfProbe = Duration.seconds(60)

    func failure(_ exit: ChildRun.Exit) -> MediaError {
        let words = exit.errorLines.joined(separator: " ").lowercased()
        if exit.cause == .overdue { return FFmpeg.overdue }
        if words.contains("no such filter") {
            return MediaError(.missingProgram, "The ffmpeg that is installed here cannot draw subtitles.")
        }
        if words.contains("no space left") { return MediaError(.noSpace, "There is no space left on my disk.") }
        if words.contains("file too large") { return .tooLarge(bytes: nil, maxBytes: maxBytes) }
        if exit.cause == .ended(.signalled(SIGXFSZ)) { return .tooLarge(bytes: nil, maxBytes: maxBytes) }
        if ["cannot allocate memory", "malloc of size", "out of memory"].contains(where: words.contains) {
            return MediaError(
                .conversionFailed,
                "The conversion of that file needs more memory than I may use: its pictures are too large.")
        }
        if exit.cause == .ended(.signalled(SIGXCPU)) {
            return MediaError(.timedOut, "The conversion took too much processor time.", isTransient: false)
        }
        if case .ended(.signalled(let signal)) = exit.cause {
            return MediaError(.conversionFailed, "ffmpeg was killed (signal \(signal)).", isTransient: true)
        }
        return MediaError(.conversionFailed, "That file is damaged, or of a kind that cannot be converted.")
    }
}

/// Holds the options of a format of sound.
private struct SoundFormat {
    /// The codec of streams that need no encoding, as ffprobe names it.
    let codec: String
    let encoder: [String]
    let container: [String]
    let holdsCover: Bool

    init(_ format: MediaVariant.AudioFormat) {
        holdsCover = format != .opus
        switch format {
        case .mp3:
            (codec, encoder) = ("mp3", ["libmp3lame", "-q:a", "2"])
            container = ["-id3v2_version", "3", "-f", "mp3"]
        case .m4a:
            (codec, encoder) = ("aac", ["aac", "-b:a", "160k"])
            container = ["-movflags", "+faststart", "-f", "ipod"]
        case .opus:
            (codec, encoder) = ("opus", ["libopus", "-b:a", "128k"])
            container = ["-f", "opus"]
        }
    }
}

extension MediaVariant.Cut {
    /// Returns the length of the part of media that have a known or an unknown length.
    func seconds(of whole: Double?) -> Double? {
        let end = [self.end.map { Double($0) / 1000 }, whole].compactMap { $0 }.min()
        return end.map { max(0, $0 - Double(start) / 1000) }
    }
}

/// Reads the lines that `ffmpeg -progress` prints.
private struct FFmpegProgress {
    let durationSeconds: Double?
    let title: String?
    private var meter = RateMeter()

    private let start = ContinuousClock.now
    private let budget: Duration?
    /// Is true if the conversion is certain to take longer than it may.
    private(set) var isHopeless = false

    /// The share of the budget after which the rest is estimated: the first pictures can be slower than others.
    private static let shareBeforeEstimate = 0.1

    init(durationSeconds: Double?, title: String?, budget: Duration? = nil) {
        self.durationSeconds = durationSeconds
        self.title = title
        self.budget = budget
    }

    mutating func take(_ line: String) -> MediaProgress? {
        guard line.hasPrefix("out_time_us="), let microseconds = Double(line.dropFirst("out_time_us=".count)) else {
            return nil
        }
        let fraction = durationSeconds.map { $0 > 0 ? min(1, max(0, microseconds / 1e6 / $0)) : 0 }
        if let budget, let fraction { estimate(fraction, budget) }
        guard meter.report(at: 0) != nil else { return nil }
        return MediaProgress(.converting, fraction: fraction, title: title)
    }

    private mutating func estimate(_ fraction: Double, _ budget: Duration) {
        let (spent, whole) = ((.now - start) / .seconds(1), budget / .seconds(1))
        guard spent > whole * FFmpegProgress.shareBeforeEstimate else { return }
        // At half of the speed that it would need, nothing will make up for it.
        if fraction < spent / whole / 2 { isHopeless = true }
    }
}
