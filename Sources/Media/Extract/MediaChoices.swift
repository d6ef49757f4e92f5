import JSON
import Payloads

/// Lists the forms in which a site offers a video, with the sizes that it names or that follow from the bit rates.
package struct MediaChoices: Sendable, Equatable {
    package struct Picture: Sendable, Equatable {
        /// The height, or of a picture that stands upright the width.
        package let height: Int64
        package let sizeBytes: Int64?
    }

    package let title: String?
    package let durationSeconds: Double?
    /// The pictures, the largest first, each height once.
    package let pictures: [Picture]
    /// Is true if there is sound, or if the site does not say.
    package let hasSound: Bool
    package let soundBytes: Int64?
    /// The languages of the subtitles that people wrote.
    package let subtitles: [String]

    init(_ info: VideoInfo) {
        title = info.title
        durationSeconds = info.durationSeconds
        subtitles = info.writtenSubtitles
        let formats = (info.json["formats"]?.array ?? []).map { Format($0, seconds: info.durationSeconds) }
        let sounds = formats.filter { $0.hasSound && !$0.hasPicture }
        soundBytes = sounds.compactMap(\.sizeBytes).max()
        hasSound = formats.isEmpty || formats.contains { $0.hasSound }
        var best: [Int64: Int64?] = [:]
        for format in formats where format.hasPicture {
            guard let height = format.height, MediaVariant.heights.contains(height) else { continue }
            let sound = format.hasSound ? 0 : sounds.isEmpty ? 0 : soundBytes
            let size = format.sizeBytes.flatMap { picture in sound.map { picture.addingClamped($0) } }
            // The larger of two forms of one height is the one that yt-dlp most likely takes.
            if let known = best[height] ?? nil, known >= size ?? 0 { continue }
            best[height] = .some(size)
        }
        pictures = best.map { Picture(height: $0.key, sizeBytes: $0.value) }.sorted { $0.height > $1.height }
    }

    private struct Format {
        let height: Int64?
        let hasPicture: Bool
        let hasSound: Bool
        let sizeBytes: Int64?

        init(_ json: JSON, seconds: Double?) {
            let (width, height) = (json["width"]?.int, json["height"]?.int)
            self.height = [width, height].compactMap { $0 }.min().flatMap { height == nil ? nil : $0 }
            hasPicture = json["vcodec"]?.string != "none" && json["height"]?.int != nil
            hasSound = json["acodec"]?.string != "none"
            let exact = (json["filesize"] ?? json["filesize_approx"])?.double
            let guessed = seconds.flatMap { seconds in json["tbr"]?.double.map { $0 * 125 * seconds } }
            sizeBytes = (exact ?? guessed).flatMap { (1...1e15).contains($0) ? Int64($0) : nil }
        }
    }
}

extension VideoInfo {
    /// Returns the largest picture of the site that fits a limit, if the one that would be taken is known to exceed it.
    func picture(upTo limit: Int64?, _ variant: MediaVariant) -> MediaChoices.Picture? {
        guard let limit, let estimatedBytes, estimatedBytes > limit else { return nil }
        return MediaChoices(self).pictures.first { picture in
            guard let size = picture.sizeBytes else { return false }
            return size <= limit && picture.height <= variant.maxHeight ?? .max
        }
    }
}

extension MediaFetcher {
    /// Finds out in what forms a site offers the video of a link.
    ///
    /// - Throws: `MediaError`, as `fetch`.
    package func choices(
        _ identity: SourceIdentity, readsAccountPages: Bool = true
    ) async throws(MediaError) -> MediaChoices {
        MediaChoices(try await describe(identity, readsAccountPages: readsAccountPages))
    }
}
