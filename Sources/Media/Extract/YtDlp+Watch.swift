import Glibc
import Payloads
import Process
import System

extension YtDlp {
    /// Runs yt-dlp until its end, until a line of its output says that it is over, or until its files are not what they should be.
    ///
    /// - Parameter isDownload: whether its files have to grow.
    func runWatched(
        _ run: ChildRun, isDownload: Bool, until isOver: @escaping @Sendable () -> Bool = { false },
        onLine: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws(MediaError) -> ChildRun.Exit {
        let hugeSubtitles: @Sendable () -> MediaError? = {
            hasHugeSubtitles ? MediaError(.tooLarge, "The subtitles are too large.") : nil
        }
        return try await program.runWatched(
            run, isDownload: isDownload, until: isOver, fault: hugeSubtitles, onLine: onLine)
    }

    /// The size of subtitles that no film has.
    private static let maxSubtitleBytes = 16 << 20
    private static let subtitleExtensions: Set<Substring> = [
        "vtt", "srt", "ass", "ssa", "ttml", "lrc", "json3", "srv3", "part",
    ]

    /// Takes the subtitles that yt-dlp has downloaded out of its folder.
    ///
    /// - Returns: the new path.
    /// - Throws: `noSubtitles` if the site did not give them.
    func keptSubtitles() throws(MediaError) -> String {
        let output = folder.file("subtitles.bin")
        for name in folderEntries(work) ?? [] where isOfSubtitles(name) {
            var info = stat()
            guard lstat("\(work)/\(name)", &info) == 0, info.st_mode & S_IFMT == S_IFREG,
                (1...YtDlp.maxSubtitleBytes).contains(Int(info.st_size)), rename("\(work)/\(name)", output) == 0
            else { continue }
            return output
        }
        throw MediaError(.noSubtitles, "The site did not give the subtitles.")
    }

    /// Returns whether a file has subtitles: `media.en.vtt`, and while it arrives `media.en.vtt.part`. The video is `media.mp4` or
    /// `media.f137.mp4.part`.
    private func isOfSubtitles(_ name: String) -> Bool {
        guard let language = variant.subtitles else { return false }
        return name.lowercased().hasPrefix("media.\(language.prefix(2).lowercased())")
            && YtDlp.subtitleExtensions.contains(name.split(separator: ".").last ?? "")
    }

    /// Is true if a file of subtitles is longer than subtitles are. The limit of the system for one file is that of the video.
    private var hasHugeSubtitles: Bool {
        (folderEntries(work) ?? []).contains { name in
            var info = stat()
            return isOfSubtitles(name) && lstat("\(work)/\(name)", &info) == 0
                && Int(info.st_size) > YtDlp.maxSubtitleBytes
        }
    }
}
