package import JSON

/// Identifies a chat: a Bot API id (-100… for channels and supergroups), or a name such as `@some_channel`.
package enum ChatID: Sendable, Hashable, CustomStringConvertible {
    case id(Int64)
    case name(String)

    /// Returns nil for a value that is neither an integer nor text.
    package init?(_ json: JSON) {
        if let id = json.int {
            self = .id(id)
        } else if let name = json.string {
            self = .name(name)
        } else {
            return nil
        }
    }

    /// Reads a chat as a user writes it: digits are an id.
    package init(_ text: String) { self = Int64(text).map { .id($0) } ?? .name(text) }

    package var json: JSON {
        switch self {
        case .id(let id): .integer(id)
        case .name(let name): .string(name)
        }
    }

    /// The id, if the chat is not identified by its name.
    package var number: Int64? { if case .id(let id) = self { id } else { nil } }

    package var description: String {
        switch self {
        case .id(let id): id.description
        case .name(let name): name
        }
    }
}

/// Describes a file in Telegram as its message does: `file` of `commands.media.*`.
package struct TelegramFile: Sendable, Hashable {
    /// Is valid for one bot or account only.
    package var id: String
    /// Is the same for all bots, or, from an account, for all accounts.
    package var uniqueID: String
    /// `video`, `audio`, `document`, `voice`, `video_note`, `animation` or `photo`.
    package var type: String?
    package var name: String?
    package var mimeType: String?
    package var sizeBytes: Int64?
    package var durationSeconds: JSONNumber?
    package var width: Int64?
    package var height: Int64?
    package var title: String?
    package var performer: String?
    /// The members that are not read here; they follow when the file is written again.
    private let unknown: JSONObject

    /// Returns nil if the value has no `file_id` or no `file_unique_id`.
    package init?(_ json: JSON) {
        guard let object = json.object else { return nil }
        var reader = PayloadReader(object)
        guard let id = reader.string("file_id"), let uniqueID = reader.string("file_unique_id") else { return nil }
        self.id = id
        self.uniqueID = uniqueID
        type = reader.string("type")
        name = reader.string("file_name")
        mimeType = reader.string("mime_type")
        sizeBytes = reader.integer("file_size")
        durationSeconds = reader.number("duration")
        width = reader.integer("width")
        height = reader.integer("height")
        title = reader.string("title")
        performer = reader.string("performer")
        unknown = reader.unknown
    }

    package var json: JSON {
        let object: JSONObject = [
            "file_id": .string(id), "file_unique_id": .string(uniqueID), "type": JSON(type), "file_name": JSON(name),
            "mime_type": JSON(mimeType), "file_size": JSON(sizeBytes), "duration": JSON(durationSeconds),
            "width": JSON(width), "height": JSON(height), "title": JSON(title), "performer": JSON(performer),
        ]
        return .object(object.followed(by: unknown))
    }
}

extension String {
    /// Returns the text cut to a number of UTF-16 units, which is how Telegram counts, between characters.
    package func limited(toUTF16 limit: Int) -> String {
        guard utf16.count > limit else { return self }
        var kept = ""
        var length = 0
        for character in self {
            length += character.utf16.count
            if length > limit - 1 { break }
            kept.append(character)
        }
        return kept + "…"
    }
}
