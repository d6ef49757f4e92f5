import Glibc
import Payloads
import Process
import System

/// Cuts a video into parts that are short enough to be sent.
package struct VideoParts: Sendable {
    /// The most parts of a video: more are a flood of messages.
    package static let most = 50

    private let ffmpeg: FFmpeg
    private let limitBytes: Int64

    /// - Parameters:
    ///   - ffmpeg: the program, whose ffprobe is in the same folder.
    ///   - limitBytes: the size of the longest part.
    package init(ffmpeg: String, jail: HelperJail, limitBytes: Int64, timeout: Duration) {
        self.ffmpeg = FFmpeg(
            program: ffmpeg, probeProgram: FFmpeg.probeProgram(beside: ffmpeg), deadline: .now + timeout,
            maxBytes: limitBytes, jail: jail)
        self.limitBytes = limitBytes
    }

    /// One part of a video.
    package struct Part: Sendable, Equatable {
        package let path: String
        package let sizeBytes: Int64
        package let durationSeconds: Double?

        package init(path: String, sizeBytes: Int64, durationSeconds: Double?) {
            (self.path, self.sizeBytes, self.durationSeconds) = (path, sizeBytes, durationSeconds)
        }
    }

    /// Cuts a video at key frames, without encoding it anew.
    ///
    /// - Parameter folder: an empty folder, which gets the parts.
    /// - Returns: the parts in their order; nil if the video cannot be cut into parts of that size.
    /// - Throws: `MediaError` if ffmpeg cannot be run, or the time is over.
    package func make(from path: String, in folder: String) async throws(MediaError) -> [Part]? {
        var info = stat()
        guard stat(path, &info) == 0, let probe = try await ffmpeg.probe(path), probe.hasVideo,
            let seconds = probe.durationSeconds, seconds > 1
        else { return nil }
        // The bytes are not spread evenly, and each part has an index of its own.
        var count = Int((Double(info.st_size) / (Double(limitBytes) * 0.95)).rounded(.up))
        for _ in 0..<4 {
            guard (2...VideoParts.most).contains(count) else { return nil }
            if let parts = try await ffmpeg.split(path, probe, in: folder, every: seconds / Double(count)) {
                return try await measured(parts)
            }
            for name in folderEntries(folder) ?? [] { unlink("\(folder)/\(name)") }
            count += max(1, count / 3)
        }
        return nil
    }

    private func measured(_ paths: [String]) async throws(MediaError) -> [Part] {
        var parts: [Part] = []
        for path in paths {
            var info = stat()
            guard stat(path, &info) == 0 else { throw .local("read a part", errno) }
            parts.append(
                Part(
                    path: path, sizeBytes: Int64(info.st_size),
                    durationSeconds: try await ffmpeg.probe(path)?.durationSeconds))
        }
        return parts
    }
}

extension FFmpeg {
    /// Cuts a video at the first key frame after each interval.
    ///
    /// - Returns: the paths of the parts; nil if one of them is longer than `maxBytes`.
    fileprivate func split(
        _ input: String, _ probe: MediaProbe, in folder: String, every seconds: Double
    ) async throws(MediaError) -> [String]? {
        let tag = probe.videoCodec == "hevc" ? ["-tag:v", "hvc1"] : []
        let arguments =
            ["-nostdin", "-hide_banner", "-v", "error", "-nostats", "-y"] + FFmpeg.inputOptions
            + ["-i", "file:\(absolutePath(input))", "-map", "0:V:0", "-map", "0:a:0?", "-c", "copy"] + tag
            + [
                "-f", "segment", "-segment_time", "\(seconds)", "-reset_timestamps", "1", "-segment_format", "mp4",
                "-segment_format_options", "movflags=+faststart", "file:\(folder)/part-%03d.mp4",
            ]
        var run = ChildRun(
            Command(
                program, arguments, environment: HelperEnvironment.variables(home: "/"), directory: "/",
                maxFileBytes: UInt64(maxBytes)),
            timeout: max(.milliseconds(1), deadline - .now))
        run.command.jail = try jail.forConverter(
            program, input: absolutePath(input), output: folder, processorTime: jail.processorTime)
        let exit = try await run.runHelper()
        guard exit.isSuccess else {
            let error = failure(exit)
            if error.code == .tooLarge { return nil }
            throw error
        }
        let names = (folderEntries(folder) ?? []).filter { $0.hasPrefix("part-") }.sorted()
        return names.isEmpty ? nil : names.map { "\(folder)/\($0)" }
    }
}
