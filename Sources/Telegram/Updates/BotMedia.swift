import Accounts
import JSON

/// Shows the media of a message in the form of the Bot API.
enum BotMedia {
    /// Returns the members that a `MessageMedia` adds to a message.
    ///
    /// - Parameter origin: the message. File ids include it, so that their references can be renewed.
    static func content(_ media: JSON, origin: MessageOrigin) -> JSONObject {
        switch media["_"]?.string {
        case "messageMediaPhoto": photo(media, origin)
        case "messageMediaDocument": document(media, origin)
        case "messageMediaGeo", "messageMediaGeoLive": ["location": location(media["geo"])]
        case "messageMediaVenue":
            [
                "venue": .object([
                    "location": location(media["geo"]), "title": media["title"], "address": media["address"],
                ])
            ]
        case "messageMediaContact":
            [
                "contact": .object([
                    "phone_number": media["phone_number"], "first_name": media["first_name"],
                    "last_name": media["last_name"], "user_id": media["user_id"],
                ])
            ]
        case "messageMediaDice": ["dice": .object(["emoji": media["emoticon"], "value": media["value"]])]
        case "messageMediaPoll":
            ["poll": .object(["id": text(media["poll"]?["id"]), "question": media["poll"]?["question"]?["text"]])]
        default: [:]
        }
    }

    /// Returns whether the text of a message with this media is a caption.
    static func hasCaption(_ media: JSON?) -> Bool {
        ["messageMediaPhoto", "messageMediaDocument"].contains(media?["_"]?.string)
    }

    private static func photo(_ media: JSON, _ origin: MessageOrigin) -> JSONObject {
        guard let photo = media["photo"], let sizes = sizes(of: photo, origin) else { return [:] }
        return ["photo": sizes, "has_media_spoiler": media["spoiler"]]
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

    private static func document(_ media: JSON, _ origin: MessageOrigin) -> JSONObject {
        guard let document = media["document"], let file = AccountFileID.files(of: document, origin: origin).first
        else { return [:] }
        let attributes = Attributes(document)
        let described = named(file, attributes.described(file.kind))
        var content: JSONObject = [file.kind.rawValue: .object(described)]
        if file.kind == .animation {
            // The Bot API also has this form, for programs that know only documents.
            content["document"] = .object(named(file, attributes.described(.document)))
        }
        content["has_media_spoiler"] = media["spoiler"]
        return content
    }

    private static func named(_ file: AccountFileID, _ about: JSONObject) -> JSONObject {
        var about = about
        about["file_id"] = .string(file.text)
        about["file_unique_id"] = .string(file.uniqueText)
        about["file_size"] = file.sizeBytes.map { .integer($0) }
        return about
    }

    private static func location(_ geo: JSON?) -> JSON? {
        guard let latitude = geo?["lat"], let longitude = geo?["long"] else { return nil }
        return .object(["latitude": latitude, "longitude": longitude])
    }

    private static func text(_ number: JSON?) -> JSON? { number?.long.map { .string("\($0)") } }
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

    /// Returns the Bot API's members for a file of a kind, without its ids and size.
    func described(_ kind: AccountFileID.Kind) -> JSONObject {
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
        case .sticker:
            return [
                "type": "regular", "width": size?["w"] ?? 0, "height": size?["h"] ?? 0,
                "is_animated": .bool(document["mime_type"] == "application/x-tgsticker"),
                "is_video": .bool(document["mime_type"] == "video/webm"),
                "emoji": first("documentAttributeSticker")?["alt"],
            ]
        case .document, .photo: return ["file_name": name, "mime_type": document["mime_type"]]
        }
    }
}

extension Double {
    /// The number limited to 0 to 1e9, which no file's duration exceeds; 0 for infinity and NaN.
    fileprivate var clamped: Double { isFinite ? Swift.min(Swift.max(self, 0), 1e9) : 0 }
}
