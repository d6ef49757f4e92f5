/// Remembers which messages of histories came since the last range of their chat, so that a range can be compared with them.
struct RecentIDs {
    /// More than that are not remembered, neither of a chat nor of all.
    private static let mostIDs = 20_000
    private static let mostChats = 2_000

    /// The ids of all chats but the last one.
    private var chats: [ChatKey: [Int64]] = [:]
    /// The chat of the last message, which is not looked for again with each message.
    private var last: (chat: ChatKey, ids: [Int64])?

    mutating func add(_ id: Int64, to chat: ChatKey) {
        if last?.chat != chat { turn(to: chat) }
        if var (_, ids) = last.take() {
            RecentIDs.append(id, to: &ids)
            last = (chat, ids)
        }
    }

    private mutating func turn(to chat: ChatKey) {
        if let (other, ids) = last.take(), !ids.isEmpty { chats[other] = ids }
        if chats.count >= RecentIDs.mostChats { chats = [:] }
        last = (chat, chats.removeValue(forKey: chat) ?? [])
    }

    private static func append(_ id: Int64, to ids: inout [Int64]) {
        if ids.count >= mostIDs { ids.removeAll(keepingCapacity: true) }
        ids.append(id)
    }

    /// Removes and returns the ids in a range, each once, in order.
    mutating func take(from: Int64, to: Int64, of chat: ChatKey) -> [Int64] {
        if last?.chat != chat { turn(to: chat) }
        guard let all = last.take()?.ids else { return [] }
        last = (chat, all.filter { $0 < from || $0 > to })
        var ids = all.filter { $0 >= from && $0 <= to }.sorted()
        var count = 0
        for id in ids where count == 0 || ids[count - 1] != id {
            ids[count] = id
            count += 1
        }
        ids.removeLast(ids.count - count)
        return ids
    }
}
