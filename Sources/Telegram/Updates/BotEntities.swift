import Accounts
import JSON

/// Shows the formatting of texts in the form of the Bot API. Offsets count UTF-16 units, as in TL.
enum BotEntities {
    private static let plain = [
        "messageEntityMention": "mention", "messageEntityHashtag": "hashtag", "messageEntityCashtag": "cashtag",
        "messageEntityBotCommand": "bot_command", "messageEntityUrl": "url", "messageEntityEmail": "email",
        "messageEntityPhone": "phone_number", "messageEntityBold": "bold", "messageEntityItalic": "italic",
        "messageEntityUnderline": "underline", "messageEntityStrike": "strikethrough",
        "messageEntitySpoiler": "spoiler", "messageEntityCode": "code",
    ]

    /// Returns nil when there is no entity that the Bot API knows.
    static func list(_ entities: JSON?, _ names: BotPeers) -> JSON? {
        let shown = (entities?.array ?? []).compactMap { entity($0, names) }
        return shown.isEmpty ? nil : .array(shown)
    }

    private static func entity(_ entity: JSON, _ names: BotPeers) -> JSON? {
        guard let offset = entity["offset"], let length = entity["length"], let kind = entity["_"]?.string,
            let (type, more) = described(kind, entity, names)
        else { return nil }
        return .object(
            JSONObject(
                [
                    .init(key: "offset", value: offset), .init(key: "length", value: length),
                    .init(key: "type", value: .string(type)),
                ] + more.members))
    }

    private static func described(_ kind: String, _ entity: JSON, _ names: BotPeers) -> (String, JSONObject)? {
        if let type = plain[kind] { return (type, [:]) }
        switch kind {
        case "messageEntityPre":
            let language = entity["language"]?.string ?? ""
            return ("pre", ["language": language.isEmpty ? nil : .string(language)])
        case "messageEntityTextUrl": return ("text_link", ["url": entity["url"]])
        case "messageEntityMentionName":
            return entity["user_id"]?.long.map { ("text_mention", ["user": names.user($0)]) }
        case "messageEntityCustomEmoji":
            return entity["document_id"]?.long.map { ("custom_emoji", ["custom_emoji_id": .string("\($0)")]) }
        case "messageEntityBlockquote":
            return (entity["collapsed"]?.bool == true ? "expandable_blockquote" : "blockquote", [:])
        default: return nil
        }
    }
}
