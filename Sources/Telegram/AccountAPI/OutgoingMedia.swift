import Accounts
import BotAPI
import JSON

/// Describes the file of a new message, as an `InputMedia`.
struct OutgoingMedia {
    /// The parameter that has the file, by the Bot API's method.
    static let fields = [
        "sendPhoto": "photo", "sendVideo": "video", "sendAudio": "audio", "sendDocument": "document",
        "sendAnimation": "animation", "sendVoice": "voice",
    ]

    let json: JSON
    /// The file_id, if Telegram has the file already.
    private(set) var fileID: AccountFileID?

    /// Takes the file that the parameters name: a `file_id`, or a URL from which Telegram downloads it.
    ///
    /// - Throws: `TelegramError`, `fileRefused` for a file_id of another account or of a bot.
    init(_ field: String, _ parameters: JSONObject) throws(TelegramError) {
        let text = parameters[field]?.string ?? ""
        if text.hasPrefix("http://") || text.hasPrefix("https://") {
            let name = field == "photo" ? "inputMediaPhotoExternal" : "inputMediaDocumentExternal"
            json = .object(["_": .string(name), "url": .string(text)])
        } else if let id = AccountFileID(text) {
            (json, fileID) = (id.inputMedia, id)
        } else {
            throw AccountAPI.foreignFile
        }
    }

    /// Takes an uploaded file.
    ///
    /// - Parameters:
    ///   - file: an `InputFile`.
    ///   - preview: the `InputFile` of the preview picture.
    init(uploaded file: JSON, preview: JSON? = nil, _ upload: MediaUpload, _ parameters: JSONObject) {
        guard upload.kind != "photo" else {
            json = .object(["_": "inputMediaUploadedPhoto", "file": file])
            return
        }
        let name: JSON = .object(["_": "documentAttributeFilename", "file_name": .string(upload.fileName)])
        json = .object([
            "_": "inputMediaUploadedDocument", "file": file, "thumb": preview, "mime_type": .string(upload.contentType),
            "attributes": .array(OutgoingMedia.attributes(upload.kind, parameters) + [name]),
            "force_file": upload.kind == "document" ? true : nil,
        ])
    }

    /// Takes what Telegram answered about a file of an album: a `MessageMedia`.
    ///
    /// - Throws: `TelegramError` for media that an album cannot have.
    init(received media: JSON) throws(TelegramError) {
        for (key, kind) in [("photo", "Photo"), ("document", "Document")] {
            guard let file = media[key], let id = file["id"] else { continue }
            json = .object([
                "_": .string("inputMedia\(kind)"),
                "id": .object([
                    "_": .string("input\(kind)"), "id": id, "access_hash": file["access_hash"],
                    "file_reference": file["file_reference"],
                ]),
            ])
            return
        }
        throw TelegramError(.protocolBroken, "Telegram returned no photo and no document for an uploaded file")
    }

    private static func attributes(_ field: String, _ parameters: JSONObject) -> [JSON] {
        let duration = parameters["duration"] ?? 0
        switch field {
        case "video", "animation":
            let video: JSON = .object([
                "_": "documentAttributeVideo", "duration": duration, "w": parameters["width"] ?? 0,
                "h": parameters["height"] ?? 0,
                "supports_streaming": parameters["supports_streaming"] == true ? true : nil,
            ])
            return field == "video" ? [video] : [video, .object(["_": "documentAttributeAnimated"])]
        case "audio", "voice":
            return [
                .object([
                    "_": "documentAttributeAudio", "duration": duration, "title": parameters["title"],
                    "performer": parameters["performer"], "voice": field == "voice" ? true : nil,
                ])
            ]
        default: return []
        }
    }
}
