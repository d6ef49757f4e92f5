import JSON
import TL

/// Makes updates from the results of calls that delete or read messages: Telegram numbers these changes like updates, but tells only the
/// caller.
enum AffectedMessages {
    /// Returns the `Updates` to send to the listeners, for which a number would be missing otherwise; nil when the call changed nothing.
    ///
    /// Source: https://core.telegram.org/api/updates#message-related-event-sequences
    ///
    /// - Parameters:
    ///   - parameters: the call's parameters, with peers in their full form.
    ///   - answer: the method's result.
    /// - Throws: `TLError` when the answer cannot be read.
    static func updates(_ method: String, _ parameters: JSONObject, _ answer: TLValue) throws(TLError) -> TLValue? {
        guard answer.constructor == "messages.affectedMessages" else { return nil }
        let answer = try answer.json()
        guard let pts = answer["pts"], let count = answer["pts_count"], count != 0,
            let update = update(method, parameters, pts, count)
        else { return nil }
        let updates: JSON = .object([
            "_": "updates", "updates": [update], "users": [], "chats": [], "date": 0, "seq": 0,
        ])
        return TLValue(json: updates)
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
