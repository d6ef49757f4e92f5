import JSON

/// Describes the streams and tags of a media file.
struct MediaProbe: Sendable, Equatable {
    /// ffmpeg's names of the container, joined by commas.
    var formatName: String
    var durationSeconds: Double?
    /// The brand of an mp4 file (`isom`), which is `qt  ` for QuickTime; nil for other files, and old QuickTime files.
    var brand: String?
    /// The width as shown, after rotation and with the shape of the pixels.
    var width: Int?
    var height: Int?
    /// The video's codec; nil without a video. A cover picture is not a video.
    var videoCodec: String?
    /// The video's codec as the container names it (`avc1`).
    var videoTag: String?
    /// The form of the pixels (`yuv420p`).
    var pixelFormat: String?
    var audioCodec: String?
    var title: String?
    var performer: String?
    /// The number of the stream that is a cover picture as mp3 and m4a can hold it; nil without one.
    var coverIndex: Int64?

    var hasVideo: Bool { videoCodec != nil }
    var hasAudio: Bool { audioCodec != nil }

    /// Is true if the file is an mp4, and not a QuickTime file, which ffmpeg reads alike.
    var isMP4: Bool {
        formatName.split(separator: ",").contains("mp4") && brand.map { !$0.hasPrefix("qt") } == true
    }

    /// Is true if the file is an mp3 with an mp3 stream.
    var isMP3: Bool { formatName == "mp3" && audioCodec == "mp3" }

    /// Is true if Telegram's apps play the video stream in an mp4.
    ///
    /// They leave this to the phone, whose decoders know one form of H.264, and two of HEVC. AV1 and VP9 play on many.
    var hasPlayableVideo: Bool {
        switch videoCodec {
        case "h264": ["yuv420p", "yuvj420p"].contains(pixelFormat)
        case "hevc", "av1", "vp9": ["yuv420p", "yuvj420p", "yuv420p10le"].contains(pixelFormat)
        default: false
        }
    }

    /// Is true if Telegram's apps play the audio stream in an mp4, or if there is none.
    var hasPlayableAudio: Bool { audioCodec.map { ["aac", "mp3"].contains($0) } ?? true }

    /// Is true if Telegram's apps play the file as it is, unless its index is at its end.
    var isPlayable: Bool {
        isMP4 && hasPlayableVideo && hasPlayableAudio
            // Apple's players know HEVC only by this name, which promises that its parameters are in the index.
            && (videoCodec != "hevc" || videoTag == "hvc1")
    }

    /// The content type and the extension of a sound file; nil for other files.
    var soundFile: (contentType: String, fileExtension: String)? {
        guard hasAudio, !hasVideo else { return nil }
        return switch formatName {
        case "mp3": ("audio/mpeg", "mp3")
        case "ogg": ("audio/ogg", "ogg")
        case "flac": ("audio/flac", "flac")
        case "wav": ("audio/wav", "wav")
        case "aac": ("audio/aac", "aac")
        case "amr": ("audio/amr", "amr")
        case _ where formatName.split(separator: ",").contains("mp4"): ("audio/mp4", "m4a")
        case _ where formatName.split(separator: ",").contains("webm"): ("audio/webm", "webm")
        default: nil
        }
    }

    /// Reads ffprobe's answer; nil when it has no streams.
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
        brand = format?["tags"]?["major_brand"]?.string
        videoTag = video?["codec_tag_string"]?.string
        pixelFormat = video?["pix_fmt"]?.string
        let isTurned = video.map(MediaProbe.isTurned) ?? false
        let across = video.flatMap(MediaProbe.shownWidth)
        let down = video?["height"]?.int.flatMap { Int(exactly: $0) }
        (width, height) = isTurned ? (down, across) : (across, down)
        let cover = streams.first {
            $0["disposition"]?["attached_pic"]?.int == 1 && ["mjpeg", "png"].contains($0["codec_name"]?.string)
        }
        coverIndex = cover?["index"]?.int
        title = MediaProbe.tag("title", format, audio)
        performer = MediaProbe.tag("artist", format, audio)
    }

    /// Returns whether players rotate the picture by a quarter turn.
    private static func isTurned(_ stream: JSON) -> Bool {
        let rotation = stream["side_data_list"]?.array?.lazy.compactMap { $0["rotation"]?.double }.first ?? 0
        return rotation.rounded().truncatingRemainder(dividingBy: 180).magnitude == 90
    }

    /// Returns the width with the shape of the pixels (`64:45`), which are not square in much of what television sent.
    private static func shownWidth(_ stream: JSON) -> Int? {
        guard let width = stream["width"]?.int else { return nil }
        let shape = (stream["sample_aspect_ratio"]?.string ?? "").split(separator: ":").compactMap { Double($0) }
        guard shape.count == 2, shape[0] > 0, shape[1] > 0, (0.1...10).contains(shape[0] / shape[1]) else {
            return Int(exactly: width)
        }
        return Int(exactly: (Double(width) * shape[0] / shape[1]).rounded())
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

/// Recognises the first bytes of the containers that ffprobe is worth starting for.
///
/// Other files cost no child process, and the child does not see them.
enum MediaSignature {
    /// The number of bytes to look at.
    static let length = 4096

    static func isPlausible(_ bytes: [UInt8]) -> Bool {
        let head = bytes.drop { $0 == 0 }  // some mp3 and MPEG files begin with padding
        if fixed.contains(where: { bytes.starts(with: $0) || head.starts(with: $0) }) { return true }
        if boxes.contains(where: { bytes.dropFirst(4).starts(with: $0.utf8) }) { return true }
        return isFrame(head) || isTransportStream(bytes)
    }

    /// Returns whether the bytes begin with the sync word of MPEG audio, ADTS, AC-3 or DTS.
    private static func isFrame(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let first = bytes.first, let second = bytes.dropFirst().first else { return false }
        return (first == 0xff && second & 0xe0 == 0xe0) || (first == 0x0b && second == 0x77)
            || (first == 0x7f && second == 0xfe)
    }

    /// Returns whether the bytes are MPEG transport packets of 188 bytes, or of 192 with a time before each.
    private static func isTransportStream(_ bytes: [UInt8]) -> Bool {
        [(0, 188), (4, 192)].contains { start, step in
            bytes.count > start + 2 * step && (0..<3).allSatisfy { bytes[start + $0 * step] == 0x47 }
        }
    }

    /// The boxes that mov and mp4 files begin with.
    private static let boxes = ["ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "styp", "moof", "sidx"]

    private static let fixed: [[UInt8]] =
        [
            [0x1a, 0x45, 0xdf, 0xa3],  // Matroska, WebM
            [0x30, 0x26, 0xb2, 0x75],  // ASF
            [0x06, 0x0e, 0x2b, 0x34],  // MXF
            [0x00, 0x00, 0x01],  // MPEG
            [0x00, 0x00, 0x00, 0x01],  // H.264, HEVC
        ]
        + [
            "ID3", "OggS", "RIFF", "RF64", "fLaC", "FLV", "FORM", "caff", "#!AMR", ".snd", ".RMF", "wvpk", "MAC ",
            "TTA1", "MPCK",
            "MP+", "DKIF", "nut/", "tBaK", "riff",
        ].map { Array($0.utf8) }
}
