import Glibc
import HTTP
import Payloads
import Process
import System

extension YtDlp {
    /// The files and folders that yt-dlp may make: each fragment of a long video can be one.
    private static let mostEntries = 50_000

    /// Runs yt-dlp until its end, until a line of its output says that it is over, or until its files grow too slowly or
    /// beyond what the limit of one file allows.
    ///
    /// - Parameter isDownload: whether its files have to grow.
    func runWatched(
        _ run: ChildRun, isDownload: Bool, until isOver: @escaping @Sendable () -> Bool = { false },
        onLine: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws(MediaError) -> ChildRun.Exit {
        enum Ending: Sendable {
            case run(Result<ChildRun.Exit, MediaError>)
            case watch(MediaError?)
        }
        let result: Result<ChildRun.Exit, MediaError> = await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                do throws(MediaError) {
                    return .run(.success(try await run.runHelper(until: isOver, onLine: onLine)))
                } catch {
                    return .run(.failure(error))
                }
            }
            group.addTask { .watch(await faultOfFiles(isDownload: isDownload)) }
            var fault: MediaError?
            for await ending in group {
                switch ending {
                case .run(let result):
                    group.cancelAll()
                    return fault.map { .failure($0) } ?? result
                case .watch(let found):
                    fault = found
                    if found != nil { group.cancelAll() }
                }
            }
            return .failure(.cancelled)
        }
        return try result.get()
    }

    /// Returns an error as soon as the files have grown too slowly or too far, and nil when its task is cancelled. Files that are
    /// merged and removed count as growth as well.
    private func faultOfFiles(isDownload: Bool) async -> MediaError? {
        let window = minimumRate.window * 2
        let least = minimumRate.bytesPerSecond * (window / .seconds(1))
        var (start, before) = (ContinuousClock.now, FolderUse(of: work).bytes)
        while (try? await Task.sleep(for: min(window, .seconds(1)))) != nil {
            let use = FolderUse(of: work)
            if use.bytes > mostBytes || use.entries > YtDlp.mostEntries {
                return .tooLarge(bytes: nil, maxBytes: maxBytes)
            }
            if isDownload, hasHugeSubtitles { return MediaError(.tooLarge, "The subtitles are too large.") }
            guard isDownload, .now - start >= window else { continue }
            if Double((use.bytes - before).magnitude) < least {
                return MediaError(.timedOut, "The site sends too slowly.")
            }
            (start, before) = (.now, use.bytes)
        }
        return nil
    }

    /// The size of subtitles that no film has.
    private static let maxSubtitleBytes = 16 << 20
    private static let subtitleExtensions: Set<Substring> = [
        "vtt", "srt", "ass", "ssa", "ttml", "lrc", "json3", "srv3", "part",
    ]

    /// Is true if a file of subtitles is longer than subtitles are. The limit of the system for one file is that of the video.
    private var hasHugeSubtitles: Bool {
        guard let language = variant.subtitles else { return false }
        return (folderEntries(work) ?? []).contains { name in
            var info = stat()
            // `media.en.vtt`, and while it arrives `media.en.vtt.part`; the video is `media.mp4` or `media.f137.mp4.part`.
            return name.lowercased().hasPrefix("media.\(language.prefix(2).lowercased())")
                && YtDlp.subtitleExtensions.contains(name.split(separator: ".").last ?? "")
                && lstat("\(work)/\(name)", &info) == 0 && Int(info.st_size) > YtDlp.maxSubtitleBytes
        }
    }

    /// The most bytes of all files together: pictures, sound, what both are merged to, and a cache. The limit of the system holds
    /// for one file, and a program can write many.
    private var mostBytes: Int64 {
        let (sum, overflow) = maxBytes.multipliedReportingOverflow(by: 3)
        return overflow ? .max : sum.addingClamped(256 << 20)
    }
}
