import Synchronization

/// Records the values that a callback receives.
final class Seen: Sendable {
    private let list = Mutex<[Int64]>([])

    func add(_ value: Int64) { list.withLock { $0.append(value) } }
    var values: [Int64] { list.withLock { $0 } }
}
