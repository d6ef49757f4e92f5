import JSON

/// What yt-dlp says of one video.
struct VideoInfo: Sendable {
    /// The whole of it, for the second run.
    let json: JSONObject
    let title: String?
    let performer: String?
    let durationSeconds: Double?
    let webpageURL: String?
    /// Of all formats that were chosen, together.
    let estimatedBytes: Int64?
    /// How far the estimate may be exceeded: sizes that come from a bit rate are guesses.
    let tolerance: Double

    /// Reads yt-dlp's answer.
    ///
    /// - Throws: when it is a list, a live stream, or holds nothing.
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

    /// yt-dlp numbers the videos that a page embeds, also when there is only one.
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
    /// A sum of sizes that a site made up: too large stays too large.
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}
