import Glibc
import System

/// Makes harmless subtitles of those of a stranger: plain text with times, and nothing else.
///
/// Subtitles can hold fonts, drawings and instructions for the program that draws them. None of that is kept.
struct DrawnSubtitles: Sendable, Equatable {
    struct Cue: Sendable, Equatable {
        /// In milliseconds.
        var start: Int64
        var end: Int64
        var lines: [String]
    }

    private static let mostCues = 20_000
    private static let mostLines = 4
    private static let longestLine = 200
    /// The longest time of a video, in milliseconds.
    private static let latest: Int64 = 99 * 3_600_000

    let cues: [Cue]

    /// Reads subtitles in the SRT format as ffmpeg writes it; nil if there are none.
    ///
    /// - Parameter part: the part of the video that is wanted, whose beginning becomes the beginning of the times.
    init?(srt text: String, beginningAt offset: Int64 = 0) {
        var cues: [Cue] = []
        var current: Cue?
        // The number of the next cue follows an empty line.
        var isOpen = false
        // ffmpeg ends lines within a cue with \r\n, which is one Character.
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            if let times = DrawnSubtitles.times(line) {
                if let current { cues.append(current) }
                guard cues.count < DrawnSubtitles.mostCues else { break }
                (current, isOpen) = (Cue(start: times.start, end: times.end, lines: []), true)
            } else if line.allSatisfy(\.isWhitespace) {
                isOpen = false
            } else if isOpen, let words = DrawnSubtitles.words(line),
                current?.lines.count ?? 0 < DrawnSubtitles.mostLines
            {
                current?.lines.append(words)
            }
        }
        if let current, cues.count < DrawnSubtitles.mostCues { cues.append(current) }
        let moved = cues.compactMap { cue -> Cue? in
            let (start, end) = (max(0, cue.start - offset), cue.end - offset)
            return end > start && !cue.lines.isEmpty ? Cue(start: start, end: end, lines: cue.lines) : nil
        }
        guard !moved.isEmpty else { return nil }
        self.cues = moved
    }

    /// The subtitles in the SRT format.
    var srt: String {
        cues.enumerated().map { number, cue in
            let times = "\(DrawnSubtitles.clock(cue.start)) --> \(DrawnSubtitles.clock(cue.end))"
            return "\(number + 1)\n\(times)\n\(cue.lines.joined(separator: "\n"))\n"
        }.joined(separator: "\n")
    }

    /// Reads `00:01:02,500 --> 00:01:04,000`, which positions can follow.
    private static func times(_ line: Substring) -> (start: Int64, end: Int64)? {
        guard let arrow = line.firstRange(of: " --> "), let start = milliseconds(line[..<arrow.lowerBound]),
            let end = milliseconds(line[arrow.upperBound...].prefix { $0 != " " && $0 != "\r" }), end > start
        else { return nil }
        return (start, end)
    }

    private static func milliseconds(_ text: Substring) -> Int64? {
        let parts = text.split(whereSeparator: { ":,.".contains($0) }).map { Int64($0) }
        guard parts.count == 4, let hours = parts[0], let minutes = parts[1], let seconds = parts[2],
            let rest = parts[3], [hours, minutes, seconds, rest].allSatisfy({ (0..<1000).contains($0) })
        else { return nil }
        let time = ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest
        return time <= latest ? time : nil
    }

    private static func clock(_ time: Int64) -> String {
        func digits(_ number: Int64, _ count: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let seconds = time / 1000
        return
            "\(digits(seconds / 3600, 2)):\(digits(seconds / 60 % 60, 2)):\(digits(seconds % 60, 2)),\(digits(time % 1000, 3))"
    }

    /// Returns the words of a line without tags (`<b>`) and instructions (`{\\an8}`); nil if there are none.
    private static func words(_ line: Substring) -> String? {
        var result = ""
        var closing: Character?
        for character in line {
            if let end = closing {
                if character == end { closing = nil }
                continue
            }
            switch character {
            case "<": closing = ">"
            case "{": closing = "}"
            // `\\N` is a line break, and all others are instructions.
            case "\\", "}", ">": result.append(" ")
            default: result.append(character)
            }
        }
        guard let text = OneLine(result, maxBytes: 4 * longestLine)?.text else { return nil }
        return String(text.prefix(longestLine))
    }
}

extension FFmpeg {
    /// The formats of subtitles that are read.
    private static let subtitleOptions = [
        "-protocol_whitelist", "file", "-format_whitelist", "webvtt,srt,ass,subviewer,subviewer1,microdvd,mpl2,sami",
    ]

    /// Reads a stranger's subtitles, in any of the usual formats, and writes those that can be drawn.
    ///
    /// - Parameters:
    ///   - path: the new file.
    ///   - offset: the beginning of the wanted part, in milliseconds.
    /// - Throws: `noSubtitles` if there are none that can be read.
    func makeDrawable(
        _ subtitles: String, as path: String, beginningAt offset: Int64
    ) async throws(MediaError) {
        let plain = "\(path).plain"
        defer { unlink(plain) }
        var job = Conversion(
            input: subtitles, output: plain, options: ["-map", "0:s:0", "-c:s", "subrip", "-f", "srt"])
        job.inputOptions = FFmpeg.subtitleOptions
        do throws(MediaError) { try await convert(job, nil, nil) { _ in } } catch {
            guard error.code == .conversionFailed else { throw error }
            throw FFmpeg.unreadableSubtitles
        }
        guard let bytes = SmallFile.readBytes(plain, maxBytes: 64 << 20),
            let drawn = DrawnSubtitles(srt: String(decoding: bytes, as: UTF8.self), beginningAt: offset)
        else { throw FFmpeg.unreadableSubtitles }
        try SmallFile.write(Array(drawn.srt.utf8), to: path)
    }

    private static let unreadableSubtitles = MediaError(
        .noSubtitles, "The subtitles cannot be read, or there are none in that part.")
}
