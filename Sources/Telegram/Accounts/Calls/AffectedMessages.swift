import JSON

/// What calls that delete or read messages change: Telegram numbers it like updates, but only answers with the number.
enum AffectedMessages {
    /// The `Updates` that tell it to who listens, who would miss the number otherwise; nil when the call changed nothing of that kind.
    ///
    /// Source: https://core.telegram.org/api/updates#message-related-event-sequences
    ///
    /// - Parameters:
    ///   - parameters: of the call, with peers in their full form.
    ///   - answer: JSON text.
    static func updates(_ method: String, _ parameters: JSONObject, _ answer: [UInt8]) -> [UInt8]? {
        guard answer.starts(with: #"{"_":"messages.affectedMessages""#.utf8), let answer = try? JSON(parsing: answer),
            let pts = answer["pts"], let count = answer["pts_count"], count != 0,
            let update = update(method, parameters, pts, count)
        else { return nil }
        let updates: JSON = .object([
            "_": "updates", "updates": [update], "users": [], "chats": [], "date": 0, "seq": 0,
        ])
        return updates.bytes
    }

    private static func update(_ method: String, _ parameters: JSONObject, _ pts: JSON, _ count: JSON) -> JSON? {
        switch method {
        case "messages.deleteMessages":
            .object(["_": "updateDeleteMessages", "messages": parameters["id"], "pts": pts, "pts_count": count])
        case "channels.deleteMessages":
            .object([
                "_": "updateDeleteChannelMessages", "channel_id": parameters["channel"]?["channel_id"],
                "messages": parameters["id"], "pts": pts, "pts_count": count,
            ])
        case "messages.readHistory", "messages.readMessageContents":
            .object(["_": "updateReadMessagesContents", "messages": [], "pts": pts, "pts_count": count])
        default: nil
        }
    }
}
