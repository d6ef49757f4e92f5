/// Ids of a chat that lie close to each other.
struct IDRun: Equatable {
    /// Ids that are farther from each other than this belong to different runs. Deleted messages leave smaller gaps.
    private static let widestGap: Int64 = 100
    /// If there were more runs, the database would be asked about whole chats.
    static let most = 64

    let chat: ChatKey
    let low: Int64
    private(set) var high: Int64

    /// Cuts keys, which are in the order of their chats and ids, into runs.
    ///
    /// - Returns: the runs; or, if these are too many, one for each chat, and false.
    static func runs(of keys: some Sequence<MessageKey>) -> (runs: [IDRun], areClose: Bool) {
        var close: [IDRun] = []
        var wide: [IDRun] = []
        for key in keys {
            let chat = ChatKey(key.chatID, ownerID: key.ownerID)
            let next = IDRun(chat: chat, low: key.messageID, high: key.messageID)
            if let last = wide.last, last.chat == chat {
                wide[wide.count - 1].high = key.messageID
                if close.count <= most {
                    if key.messageID - close[close.count - 1].high <= widestGap {
                        close[close.count - 1].high = key.messageID
                    } else {
                        close.append(next)
                    }
                }
            } else {
                wide.append(next)
                if close.count <= most { close.append(next) }
            }
        }
        return close.count <= most ? (close, true) : (wide, false)
    }
}
