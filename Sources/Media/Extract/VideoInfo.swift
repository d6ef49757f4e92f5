import JSON
import Payloads
import System

/// Describes one video, as yt-dlp reports it.
struct VideoInfo: Sendable {
    /// The whole description, for the second run.
    let json: JSONObject
    let title: String?
    let performer: String?
    let durationSeconds: Double?
    /// The age from which on the site rates the video as suitable; nil if it does not say.
    var viewerAge: Int64?
    /// The identity of the page that the site reports as the video's own.
    let page: SourceIdentity?
    /// The name of the extractor that described the video (`extractor_key`).
    let extractor: String?
    /// The ids by which the site names the video, or the post that has it.
    let ids: Set<String>
    /// The size of all chosen formats together.
    var estimatedBytes: Int64?
    /// The factor by which the size may exceed the estimate: sizes derived from a bit rate are guesses.
    let tolerance: Double

    /// Reads yt-dlp's answer.
    ///
    /// - Parameter isOfList: whether yt-dlp was asked for one video of a list.
    /// - Throws: `playlist`, `live`, or `noMedia` when the answer is not one finished video.
    init(_ answer: JSONObject, isOfList: Bool = false) throws(MediaError) {
        var lists: [JSONObject] = []
        let video = try VideoInfo.single(answer, isOfList: isOfList, in: &lists)
        json = video
        let status = json["live_status"]?.string
        if json["is_live"]?.bool == true || status == "is_live" {
            throw MediaError(.live, "That is a live stream; try again when it is over.")
        }
        if status == "is_upcoming" { throw MediaError(.live, "That has not begun yet; try again when it is over.") }
        title = VideoInfo.title(json)
        performer = (json["artist"] ?? json["uploader"] ?? json["channel"])?.string.flatMap { OneLine($0) }?.text
        durationSeconds = json["duration"]?.double.flatMap { $0 > 0 ? $0 : nil }
        viewerAge = VideoInfo.age(json["age_limit"])
        page = json["webpage_url"]?.string.flatMap { SourceIdentity($0) }
        extractor = json["extractor_key"]?.string
        // A post with several parts is a list with the post's id, of which only one is a video.
        let parts = [video] + lists.filter { $0["extractor_key"] == video["extractor_key"] }
        ids = Set(parts.flatMap { [$0["id"]?.string, $0["display_id"]?.string] }.compactMap { $0 })
        let formats = json["requested_formats"]?.array ?? [.object(json)]
        let exact = formats.compactMap { $0["filesize"]?.byteCount }
        let sizes = formats.compactMap { $0["filesize"]?.byteCount ?? $0["filesize_approx"]?.byteCount }
        estimatedBytes = sizes.count == formats.count ? sizes.reduce(0) { $0.addingClamped($1) } : nil
        tolerance = exact.count == formats.count ? 1 : 1.25
    }

    /// Returns an age. One that cannot be read is a rating all the same.
    private static func age(_ json: JSON?) -> Int64? {
        guard let json, !json.isNull else { return nil }
        return json.double.map { Int64(min(99, max(0, $0))) } ?? 99
    }

    /// Returns the title, without the number that yt-dlp adds to embedded videos even when there is only one.
    private static func title(_ json: JSONObject) -> String? {
        guard var text = json["title"]?.string else { return nil }
        let number = " (1)"
        if json["extractor"] == "html5", text.hasSuffix(number) { text.removeLast(number.count) }
        return OneLine(text)?.text
    }

    /// - Parameter lists: gets the lists around the video.
    private static func single(
        _ answer: JSONObject, isOfList: Bool, in lists: inout [JSONObject]
    ) throws(MediaError) -> JSONObject {
        guard let type = answer["_type"]?.string, type != "video" else { return answer }
        lists.append(answer)
        let entries = (answer["entries"]?.array ?? []).compactMap(\.object)
        guard let only = entries.first else {
            throw MediaError(.noMedia, "There is no video that I can find at that link.")
        }
        guard entries.count == 1, isOfList || (answer["playlist_count"]?.int ?? 1) <= 1 else {
            throw MediaError(
                .playlist, "That is a list of videos; send the link of one of them, or write 1-5 before this link.")
        }
        return try single(only, isOfList: isOfList, in: &lists)
    }
}
