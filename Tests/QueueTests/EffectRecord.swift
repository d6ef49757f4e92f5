/// Records the effects of events in the order in which they happened, each once: the second time, it is a repetition.
actor EffectRecord {
    private var seen: Set<String> = []
    private var lists: [String: [Int]] = [:]

    var count: Int { seen.count }
    func numbers(of chat: String) -> [Int] { lists[chat] ?? [] }

    /// - Parameter name: the chat and the number, such as `7.1`.
    func add(_ name: String) {
        guard seen.insert(name).inserted else { return }
        let words = name.split(separator: ".")
        lists[String(words[0]), default: []].append(Int(words[1]) ?? 0)
    }
}
