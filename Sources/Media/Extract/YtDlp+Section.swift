import JSON
import Payloads
import System

extension YtDlp {
    /// The smallest part of the whole for which the whole is downloaded, and the part cut out of it.
    private static let largestShare = 0.5

    /// Downloads the wanted part only, as far as the site lets ffmpeg begin in the middle.
    ///
    /// - Returns: nil if the whole is wanted or needed.
    /// - Throws: `cancelled`; after other failures, the whole has to do.
    func downloadSection(
        _ info: VideoInfo, _ subtitles: String?, _ place: SiteProgram.Place, _ onProgress: @escaping ProgressHandler
    ) async throws(MediaError) -> String? {
        guard let cut = variant.cut, let end = cut.end, subtitles == nil, info.share(of: cut) < YtDlp.largestShare,
            info.durationSeconds.map({ Double(end) / 1000 <= $0 }) ?? true,
            // Sound that comes with pictures would begin at one of their key frames.
            kind == .video || info.json["vcodec"]?.string == "none"
        else { return nil }
        let times = "*\(Double(cut.start) / 1000)-\(Double(end) / 1000)"
        // Without key frames of its own, a part of a video would begin up to ten seconds too early.
        let exact = kind == .video ? ["--force-keyframes-at-cuts"] : []
        do throws(MediaError) {
            return try await download(
                info, nil, place, upTo: maxBytes, section: ["--download-sections", times] + exact, onProgress)
        } catch {
            if error.code == .cancelled { throw error }
            program.removeMedia()
            return nil
        }
    }
}

extension VideoInfo {
    /// Returns the share of the whole that a part has, up to 1. Of media with an unknown length, it is taken to be small.
    func share(of cut: MediaVariant.Cut?) -> Double {
        guard let cut else { return 1 }
        guard let durationSeconds else { return cut.end == nil ? 1 : 0.1 }
        return min(1, max(0.001, (cut.seconds(of: durationSeconds) ?? durationSeconds) / durationSeconds))
    }
}

extension Int64 {
    /// Returns this size divided by a share of at most 1, or the largest number.
    func divided(by share: Double) -> Int64 {
        let quotient = Double(self) / share
        return quotient < 9e18 ? Int64(quotient) : .max
    }
}
