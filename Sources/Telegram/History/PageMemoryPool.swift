import Synchronization
import Updates

/// Lends the memory in which pages are written to the tasks that write them.
final class PageMemoryPool: Sendable {
    /// Memory that one task uses at a time.
    private struct Box: @unchecked Sendable {
        let memory: PageMemory
    }

    private let free = Mutex<[Box]>([])

    /// Runs `body` with memory that nobody else uses meanwhile.
    func withMemory<Value>(_ body: (PageMemory) -> Value) -> Value {
        let box = free.withLock { $0.popLast() } ?? Box(memory: PageMemory())
        defer { free.withLock { $0.append(box) } }
        return body(box.memory)
    }
}
