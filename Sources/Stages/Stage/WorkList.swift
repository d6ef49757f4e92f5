import Envelope
import JSON
import Queue
import Synchronization
import System

/// The events that a stage has read: waiting for a place, worked on, or held until they are woken.
final class WorkList: Sendable {
    struct Item: Sendable {
        /// The event's name in this process.
        let number: Int
        let event: Envelope
        let line: Line
        let entry: QueueEntry?
    }

    fileprivate struct Held {
        let item: Item
        let until: ContinuousClock.Instant
    }

    fileprivate struct State {
        var waiting: [Item] = []
        var working: Set<Int> = []
        /// Woken while they were worked on.
        var woken: Set<Int> = []
        var held: [Int: Held] = [:]
        /// Of all that is waiting, worked on or held.
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

    /// - Parameter maxHeld: when so many are held, or there are 64 MiB in all, nothing more is read.
    init(concurrency: Int, maxHeld: Int = 10_000) {
        self.concurrency = concurrency
        self.maxHeld = maxHeld
    }

    /// How many events more can be worked on now; waits until there is one. nil: none will be.
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
            await changed.wait(since: generation, atMost: .seconds(60))
        }
        return nil
    }

    /// Adds the events among what was read.
    func add(_ items: [Received]) {
        state.withLock { state in
            for item in items {
                guard case .event(let event, let line) = item.incoming else { continue }
                state.waiting.append(Item(number: state.nextNumber, event: event, line: line, entry: item.entry))
                state.nextNumber += 1
                state.bytes += line.range.count
            }
        }
        changed.notify()
    }

    /// Whether nothing is worked on, or about to be.
    var isIdle: Bool { state.withLock { $0.working.isEmpty && $0.waiting.isEmpty } }

    /// Returns when nothing is worked on any more.
    func waitUntilIdle() async {
        while !Task.isCancelled {
            let generation = changed.generation
            if isIdle { return }
            await changed.wait(since: generation, atMost: .seconds(60))
        }
    }

    /// Nothing more will be added.
    func end() {
        state.withLock { $0.isEnded = true }
        changed.notify()
    }

    /// Nothing more is to be worked on.
    func abort() {
        state.withLock { $0.isAborted = true }
        changed.notify()
    }

    fileprivate enum Step {
        case work(Item, wasHeld: Bool)
        case wait(Duration)
        case end
    }

    /// What to work on next; waits for it and for a place. nil at the end, when nothing is worked on or held any more.
    func next() async -> Item? {
        while !Task.isCancelled {
            let generation = changed.generation
            switch state.withLock({ $0.step(concurrency) }) {
            case .work(let item, let wasHeld):
                // There may be room for reading again.
                if wasHeld { changed.notify() }
                return item
            case .wait(let limit): await changed.wait(since: generation, atMost: limit)
            case .end: return nil
            }
        }
        return nil
    }

    /// The event is done with.
    func finish(_ item: Item) {
        state.withLock { state in
            state.working.remove(item.number)
            state.woken.remove(item.number)
            state.bytes -= item.line.range.count
        }
        changed.notify()
    }

    /// The events that are waiting or held, in the order in which they came; they are done with.
    func takeRest() -> [Item] {
        state.withLock { state in
            defer { (state.waiting, state.held) = ([], [:]) }
            return (state.waiting + state.held.values.map(\.item)).sorted { $0.number < $1.number }
        }
    }

    /// Keeps an event that was worked on, unless it has been woken meanwhile.
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

    /// Returns once something is held; false: nothing will be any more.
    func waitUntilHeld() async -> Bool {
        while !Task.isCancelled {
            let generation = changed.generation
            let (isHeld, isAborted) = state.withLock { (!$0.held.isEmpty, $0.isAborted) }
            if isHeld || isAborted { return isHeld && !isAborted }
            await changed.wait(since: generation, atMost: .seconds(60))
        }
        return false
    }
}

extension WorkList.State {
    fileprivate mutating func step(_ concurrency: Int) -> WorkList.Step {
        if isAborted { return .end }
        let now = ContinuousClock.now
        let first = held.values.min { $0.until < $1.until }
        guard working.count < concurrency else { return .wait(.seconds(60)) }
        if let first, first.until <= now {
            held[first.item.number] = nil
            return work(first.item, wasHeld: true)
        }
        if !waiting.isEmpty { return work(waiting.removeFirst(), wasHeld: false) }
        if isEnded, held.isEmpty, working.isEmpty { return .end }
        return .wait(min(first.map { $0.until - now } ?? .seconds(60), .seconds(60)))
    }

    private mutating func work(_ item: WorkList.Item, wasHeld: Bool) -> WorkList.Step {
        working.insert(item.number)
        return .work(item, wasHeld: wasHeld)
    }
}
