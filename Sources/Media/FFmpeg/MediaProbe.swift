import JSON

/// What a media file holds.
struct MediaProbe: Sendable, Equatable {
    /// ffmpeg's names of the container, joined by commas.
    var formatName: String
    var durationSeconds: Double?
    /// As shown, so after rotation.
    var width: Int?
    var height: Int?
    /// nil without a video; a cover picture is none.
    var videoCodec: String?
    var audioCodec: String?
    var title: String?
    var performer: String?

    var hasVideo: Bool { videoCodec != nil }
    var hasAudio: Bool { audioCodec != nil }

    /// Whether the file can be stored as an mp4 as it is.
    var isMP4: Bool { formatName.split(separator: ",").contains("mp4") }

    /// Whether it is an mp3 and nothing else.
    var isMP3: Bool { formatName == "mp3" && audioCodec == "mp3" }

    static let mp4VideoCodecs: Set<String> = ["h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video"]
    static let mp4AudioCodecs: Set<String> = ["aac", "mp3", "ac3", "eac3", "opus", "flac", "alac", "mp2"]

    /// Reads ffprobe's answer; nil when there are no streams in it.
    init?(json text: String) {
        var text = text
        guard let answer = try? text.withUTF8({ try JSONParser().parse(UnsafeRawBufferPointer($0)) }),
            let streams = answer["streams"]?.array
        else { return nil }
        let video = streams.first { $0["codec_type"] == "video" && $0["disposition"]?["attached_pic"]?.int != 1 }
        let audio = streams.first { $0["codec_type"] == "audio" }
        guard video != nil || audio != nil else { return nil }
        let format = answer["format"]
        formatName = format?["format_name"]?.string ?? ""
        durationSeconds = (format?["duration"]?.string).flatMap(Double.init).flatMap {
            $0 > 0 && $0.isFinite ? $0 : nil
        }
        videoCodec = video.map { $0["codec_name"]?.string ?? "" }
        audioCodec = audio.map { $0["codec_name"]?.string ?? "" }
        let isTurned = video.map(MediaProbe.isTurned) ?? false
        width = (isTurned ? video?["height"] : video?["width"])?.int.flatMap { Int(exactly: $0) }
        height = (isTurned ? video?["width"] : video?["height"])?.int.flatMap { Int(exactly: $0) }
        title = MediaProbe.tag("title", format, audio)
        performer = MediaProbe.tag("artist", format, audio)
    }

    /// Whether players turn the picture by a quarter.
    private static func isTurned(_ stream: JSON) -> Bool {
        let rotation = stream["side_data_list"]?.array?.lazy.compactMap { $0["rotation"]?.double }.first ?? 0
        return rotation.rounded().truncatingRemainder(dividingBy: 180).magnitude == 90
    }

    private static func tag(_ name: String, _ holders: JSON?...) -> String? {
        for tags in holders.compactMap({ $0?["tags"]?.object }) {
            if let value = tags.members.first(where: { $0.key.lowercased() == name })?.value.string {
                return OneLine(value)?.text
            }
        }
        return nil
    }
}
