import Accounts
import JSON

/// Shows the media of a message in the form of the Bot API.
enum BotMedia {
    /// Returns the members that a `MessageMedia` adds to a message.
    ///
    /// - Parameter origin: the message. File ids include it, so that their references can be renewed.
    static func content(_ media: JSON, origin: MessageOrigin, names: BotPeers) -> JSONObject {
        switch media["_"]?.string {
        case "messageMediaPhoto": photo(media, origin)
        case "messageMediaDocument": document(media, origin, names)
        default: BotAttachments(names: names, origin: origin).content(media)
        }
    }

    /// Returns whether the text of a message with this media is a caption.
    static func hasCaption(_ media: JSON?) -> Bool {
        ["messageMediaPhoto", "messageMediaDocument", "messageMediaPaidMedia"].contains(media?["_"]?.string)
    }

    /// Returns the identifier of the set that a sticker in a media belongs to: an `InputStickerSet`. Telegram does not
    /// send its name along.
    static func stickerSet(in media: JSON?) -> JSON? {
        media?["document"].flatMap { Attributes($0).sticker?["stickerset"] }
    }

    private static func photo(_ media: JSON, _ origin: MessageOrigin) -> JSONObject {
        guard let photo = media["photo"], let sizes = sizes(of: photo, origin) else { return [:] }
        return ["photo": sizes, "has_media_spoiler": media["spoiler"]?.bool == true ? true : nil]
    }

    /// Returns a photo's sizes, the largest last; nil when none can be downloaded.
    static func sizes(of photo: JSON, _ origin: MessageOrigin) -> JSON? {
        let files = AccountFileID.files(of: photo, origin: origin)
        let sizes = (photo["sizes"]?.array ?? []).compactMap { PhotoSize($0) }
        let shown = files.compactMap { file in
            sizes.first { $0.letter == file.thumb }.map { size in
                JSON.object(named(file, ["width": .integer(size.width), "height": .integer(size.height)]))
            }
        }
        return shown.isEmpty ? nil : .array(shown)
    }

    private static func document(_ media: JSON, _ origin: MessageOrigin, _ names: BotPeers) -> JSONObject {
        guard let document = media["document"] else { return [:] }
        var content = file(document, origin, names)
        guard !content.isEmpty else { return [:] }
        if case .object(var video)? = content["video"] {
            video["cover"] = media["video_cover"].flatMap { sizes(of: $0, origin) }
            video["start_timestamp"] = media["video_timestamp"]
            content["video"] = .object(video)
        }
        content["has_media_spoiler"] = media["spoiler"]?.bool == true ? true : nil
        return content
    }

    /// Returns the member that a `Document` adds to a message, named after the kind of the file.
    static func file(_ document: JSON, _ origin: MessageOrigin, _ names: BotPeers) -> JSONObject {
        guard let file = AccountFileID.files(of: document, origin: origin).first else { return [:] }
        let attributes = Attributes(document)
        let thumbnail = thumbnail(of: document, origin)
        func described(_ kind: AccountFileID.Kind) -> JSON {
            var about = attributes.described(kind, names)
            about["thumbnail"] = kind == .voice ? nil : thumbnail
            return .object(named(file, about))
        }
        var content: JSONObject = [file.kind.rawValue: described(file.kind)]
        // The Bot API also has this form, for programs that know only documents.
        if file.kind == .animation { content["document"] = described(.document) }
        return content
    }

    private static func thumbnail(of document: JSON, _ origin: MessageOrigin) -> JSON? {
        AccountFileID.thumbnail(of: document, origin: origin).map { file, size in
            .object(named(file, ["width": .integer(size.width), "height": .integer(size.height)]))
        }
    }

    private static func named(_ file: AccountFileID, _ about: JSONObject) -> JSONObject {
        var about = about
        about["file_id"] = .string(file.text)
        about["file_unique_id"] = .string(file.uniqueText)
        about["file_size"] = file.sizeBytes.map { .integer($0) }
        return about
    }
}

/// Reads the attributes of a `Document`.
private struct Attributes {
    private let document: JSON
    private let all: [JSON]

    init(_ document: JSON) {
        self.document = document
        all = document["attributes"]?.array ?? []
    }

    private func first(_ name: String) -> JSON? { all.first { $0["_"]?.string == name } }

    /// The attribute of a sticker or a custom emoji.
    var sticker: JSON? { first("documentAttributeSticker") ?? first("documentAttributeCustomEmoji") }

    /// Returns the Bot API's members for a file of a kind, without its ids, size and thumbnail.
    func described(_ kind: AccountFileID.Kind, _ names: BotPeers) -> JSONObject {
        let video = first("documentAttributeVideo")
        let audio = first("documentAttributeAudio")
        let size = video ?? first("documentAttributeImageSize")
        let name = first("documentAttributeFilename")?["file_name"]
        let duration = (video?["duration"] ?? audio?["duration"])?.double.map { JSON.integer(Int64($0.clamped)) }
        switch kind {
        case .video, .animation:
            return [
                "width": size?["w"] ?? 0, "height": size?["h"] ?? 0, "duration": duration ?? 0, "file_name": name,
                "mime_type": document["mime_type"],
            ]
        case .audio:
            return [
                "duration": duration ?? 0, "performer": audio?["performer"], "title": audio?["title"],
                "file_name": name, "mime_type": document["mime_type"],
            ]
        case .voice: return ["duration": duration ?? 0, "mime_type": document["mime_type"]]
        case .videoNote: return ["length": size?["w"] ?? 0, "duration": duration ?? 0]
        case .sticker: return described(size, names)
        case .document, .photo: return ["file_name": name, "mime_type": document["mime_type"]]
        }
    }

    private func described(_ size: JSON?, _ names: BotPeers) -> JSONObject {
        let isEmoji = first("documentAttributeCustomEmoji") != nil
        let isMask = sticker?["mask"]?.bool == true
        return [
            "type": isEmoji ? "custom_emoji" : isMask ? "mask" : "regular",
            "width": size?["w"] ?? 0, "height": size?["h"] ?? 0,
            "is_animated": .bool(document["mime_type"] == "application/x-tgsticker"),
            "is_video": .bool(document["mime_type"] == "video/webm"),
            "emoji": sticker?["alt"].flatMap { $0.string?.isEmpty == false ? $0 : nil },
            "set_name": sticker?["stickerset"].flatMap(names.stickerSetName),
            "mask_position": sticker?["mask_coords"].flatMap(maskPosition),
            "custom_emoji_id": isEmoji ? document["id"]?.long.map { .string("\($0)") } : nil,
            "needs_repainting": sticker?["text_color"]?.bool == true ? true : nil,
        ]
    }

    private func maskPosition(_ coordinates: JSON) -> JSON? {
        let points = ["forehead", "eyes", "mouth", "chin"]
        guard let number = coordinates["n"]?.int, points.indices.contains(Int(clamping: number)) else { return nil }
        return .object([
            "point": .string(points[Int(number)]), "x_shift": coordinates["x"], "y_shift": coordinates["y"],
            "scale": coordinates["zoom"],
        ])
    }
}

extension Double {
    /// The number limited to 0 to 1e9, which no file's duration exceeds; 0 for infinity and NaN.
    fileprivate var clamped: Double { isFinite ? Swift.min(Swift.max(self, 0), 1e9) : 0 }
}
