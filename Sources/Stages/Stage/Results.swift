import Queue

/// What came of a batch of events: whole lines behind one another, and whose they are.
struct Results: Sendable {
    struct Item: Sendable {
        let entry: QueueEntry?
        let range: Range<Int>
    }

    private(set) var bytes: [UInt8] = []
    private(set) var items: [Item] = []

    mutating func reserve(bytes count: Int, items: Int) {
        bytes.reserveCapacity(count)
        self.items.reserveCapacity(items)
    }

    /// Adds what came of one event.
    mutating func add(_ entry: QueueEntry?, _ write: (inout [UInt8]) -> Void) {
        let start = bytes.count
        write(&bytes)
        items.append(Item(entry: entry, range: start..<bytes.count))
    }

    var lines: [QueueLine] { items.flatMap(lines) }

    var ofEntries: [QueueResult] {
        items.compactMap { item in item.entry.map { QueueResult($0, lines: lines(of: item)) } }
    }

    func bytes(of entries: Set<QueueEntry>) -> [UInt8] {
        var kept: [UInt8] = []
        for item in items where item.entry.map(entries.contains) ?? true { kept += bytes[item.range] }
        return kept
    }

    private func lines(of item: Item) -> [QueueLine] {
        bytes[item.range].split(separator: UInt8(ascii: "\n")).map { QueueLine($0) }
    }
}
