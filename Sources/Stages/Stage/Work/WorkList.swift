import Envelope
import JSON
import Queue
import Synchronization
import System

/// Keeps the events that a stage has read: waiting for a place, in work, or held until they are woken.
final class WorkList: Sendable {
    struct Item: Sendable {
        /// The event's number in this process.
        let number: Int
        let event: Envelope
        let line: Line
        let entry: QueueEntry?
        /// The time just before a queue was asked for the event.
        let askedAt: ContinuousClock.Instant?
    }

    fileprivate struct Held {
        let item: Item
        let until: ContinuousClock.Instant
    }

    fileprivate struct State {
        var waiting: [Item] = []
        var working: Set<Int> = []
        /// Events in work that have been woken.
        var woken: Set<Int> = []
        var held: [Int: Held] = [:]
        /// The size of all events that are waiting, in work or held.
        var bytes = 0
        var nextNumber = 1
        var isEnded = false
        var isAborted = false
    }

    private static let maxBytes = 64 << 20

    private let state = Mutex(State())
    private let changed = Signal()
    private let concurrency: Int
    private let maxHeld: Int

    /// - Parameter maxHeld: the number of held events at which reading stops; it also stops at 64 MiB of events in all.
    init(concurrency: Int, maxHeld: Int = 10_000) {
        self.concurrency = concurrency
        self.maxHeld = maxHeld
    }

    /// Returns the number of events for which there is a place; waits for the first place. Returns nil after `abort`.
    func room() async -> Int? {
        while !Task.isCancelled {
            let generation = changed.generation
            let (room, isOver) = state.withLock { state in
                let isFull = state.held.count >= maxHeld || state.bytes >= WorkList.maxBytes
                let free = concurrency - state.working.count - state.waiting.count
                return (isFull ? 0 : free, state.isAborted)
            }
            if isOver { return nil }
            if room > 0 { return room }
            await changed.wait(since: generation)
        }
        return nil
    }

    /// Adds the events among the given lines.
    func add(_ items: [Received]) {
        state.withLock { state in
            for item in items {
                guard case .event(let event, let line) = item.incoming else { continue }
                state.waiting.append(
                    Item(
                        number: state.nextNumber, event: event, line: line, entry: item.entry, askedAt: item.askedAt))
                state.nextNumber += 1
                state.bytes += line.range.count
            }
        }
        changed.notify()
    }

    /// The number of events that are waiting, in work or held.
    var unfinishedCount: Int { state.withLock { $0.working.count + $0.waiting.count + $0.held.count } }

    /// Is true if no event is in work or waiting for a place.
    var isIdle: Bool { state.withLock { $0.working.isEmpty && $0.waiting.isEmpty } }

    /// Waits until no event is in work or waiting for a place.
    func waitUntilIdle() async {
        while !Task.isCancelled {
            let generation = changed.generation
            if isIdle { return }
            await changed.wait(since: generation)
        }
    }

    /// Notes the end of the input.
    func end() {
        state.withLock { $0.isEnded = true }
        changed.notify()
    }

    /// Stops the work: `next` and `room` return nil from now on.
    func abort() {
        state.withLock { $0.isAborted = true }
        changed.notify()
    }

    fileprivate enum Step {
        case work(Item, wasHeld: Bool)
        /// Waits for a change, or until a held event is due.
        case wait(Duration?)
        case end
    }

    /// Returns the next event to work on; waits for it and for a place. Returns nil at the end, when no event is in work or held.
    func next() async -> Item? {
        while !Task.isCancelled {
            let generation = changed.generation
            switch state.withLock({ $0.step(concurrency) }) {
            case .work(let item, let wasHeld):
                // With one held event fewer, there may be room to read more.
                if wasHeld { changed.notify() }
                return item
            case .wait(let limit): await changed.wait(since: generation, atMost: limit)
            case .end: return nil
            }
        }
        return nil
    }

    /// Removes an event whose work is done.
    func finish(_ item: Item) {
        state.withLock { state in
            state.working.remove(item.number)
            state.woken.remove(item.number)
            state.bytes -= item.line.range.count
        }
        changed.notify()
    }

    /// Removes and returns the events that are waiting or held, in the order in which they arrived.
    func takeRest() -> [Item] {
        state.withLock { state in
            defer { (state.waiting, state.held) = ([], [:]) }
            return (state.waiting + state.held.values.map(\.item)).sorted { $0.number < $1.number }
        }
    }

    /// Holds an event that was in work; one that has been woken meanwhile is due at once.
    func hold(_ item: Item, for limit: Duration) {
        state.withLock { state in
            state.working.remove(item.number)
            let isWoken = state.woken.remove(item.number) != nil
            state.held[item.number] = Held(item: item, until: isWoken ? .now : .now + limit)
        }
        changed.notify()
    }

    func wake(_ numbers: [Int]) {
        state.withLock { state in
            for number in numbers {
                if let held = state.held[number] {
                    state.held[number] = Held(item: held.item, until: .now)
                } else if state.working.contains(number) {
                    state.woken.insert(number)
                }
            }
        }
        changed.notify()
    }

    /// Waits until an event is held.
    ///
    /// - Returns: false after `abort`.
    func waitUntilHeld() async -> Bool {
        while !Task.isCancelled {
            let generation = changed.generation
            let (isHeld, isAborted) = state.withLock { (!$0.held.isEmpty, $0.isAborted) }
            if isHeld || isAborted { return isHeld && !isAborted }
            await changed.wait(since: generation)
        }
        return false
    }
}

extension WorkList.State {
    fileprivate mutating func step(_ concurrency: Int) -> WorkList.Step {
        if isAborted { return .end }
        let now = ContinuousClock.now
        let first = held.values.min { $0.until < $1.until }
        guard working.count < concurrency else { return .wait(nil) }
        if let first, first.until <= now {
            held[first.item.number] = nil
            return work(first.item, wasHeld: true)
        }
        if !waiting.isEmpty { return work(waiting.removeFirst(), wasHeld: false) }
        if isEnded, held.isEmpty, working.isEmpty { return .end }
        return .wait(first.map { $0.until - now })
    }

    private mutating func work(_ item: WorkList.Item, wasHeld: Bool) -> WorkList.Step {
        working.insert(item.number)
        return .work(item, wasHeld: wasHeld)
    }
}
