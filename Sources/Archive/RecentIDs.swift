/// Remembers which messages of histories came since the last range of their chat, so that a range can be compared with them.
struct RecentIDs {
    /// More than that are not remembered, neither of a chat nor of all.
    private static let mostIDs = 20_000
    private static let mostChats = 2_000

    private var chats: [ChatKey: [Int64]] = [:]

    mutating func add(_ id: Int64, to chat: ChatKey) {
        RecentIDs.append(id, to: &chats[chat, default: []])
        if chats.count > RecentIDs.mostChats { chats = [:] }
    }

    private static func append(_ id: Int64, to ids: inout [Int64]) {
        if ids.count >= mostIDs { ids.removeAll(keepingCapacity: true) }
        ids.append(id)
    }

    /// Removes and returns the ids in a range, each once, in order.
    mutating func take(from first: Int64, to last: Int64, of chat: ChatKey) -> [Int64] {
        guard let all = chats.removeValue(forKey: chat) else { return [] }
        let rest = all.filter { $0 < first || $0 > last }
        if !rest.isEmpty { chats[chat] = rest }
        var ids = all.filter { $0 >= first && $0 <= last }.sorted()
        var count = 0
        for id in ids where count == 0 || ids[count - 1] != id {
            ids[count] = id
            count += 1
        }
        ids.removeLast(ids.count - count)
        return ids
    }
}
