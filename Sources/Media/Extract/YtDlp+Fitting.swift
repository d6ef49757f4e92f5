import JSON
import Payloads
import System

extension YtDlp {
    /// Downloads a video, and takes a smaller picture if the file turns out to exceed `fitBytes` on the way: sites name sizes that
    /// are wrong, or none.
    ///
    /// - Parameter info: gets the size of the picture that is downloaded in the end, if it is known.
    func downloadFitting(
        _ info: inout VideoInfo, _ subtitles: String?, _ place: SiteProgram.Place,
        _ onProgress: @escaping ProgressHandler
    ) async throws(MediaError) -> String {
        var attempt = self
        while true {
            let smaller = attempt.smallerPicture(info)
            do throws(MediaError) {
                let limit = smaller == nil ? maxBytes : min(maxBytes, fitBytes ?? maxBytes)
                return try await attempt.download(info, subtitles, place, upTo: limit, onProgress)
            } catch {
                guard error.code == .tooLarge, let smaller else { throw error }
                attempt.variant.maxHeight = smaller.height
                info.estimatedBytes = smaller.sizeBytes
                attempt.program.removeMedia()
            }
        }
    }

    /// Returns the next smaller picture of the site that is not known to be too large; nil if there is none, or if the best is
    /// wanted in any case.
    private func smallerPicture(_ info: VideoInfo) -> MediaChoices.Picture? {
        guard kind == .video, let fitBytes else { return nil }
        let height = min(variant.maxHeight ?? .max, info.chosenHeight ?? .max)
        return MediaChoices(info).pictures.first { $0.height < height && $0.sizeBytes ?? 0 <= fitBytes }
    }
}

extension VideoInfo {
    /// The height of the picture that yt-dlp has chosen, or its width if it stands upright.
    fileprivate var chosenHeight: Int64? {
        let formats = json["requested_formats"]?.array ?? [.object(json)]
        return formats.compactMap { format in
            format["height"]?.int.map { min($0, format["width"]?.int ?? $0) }
        }.max()
    }
}
