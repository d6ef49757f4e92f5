import Logging
import Stage
import System

/// Tells what happens to events that an output does not take at once.
package enum Overflow: String, Sendable, CaseIterable {
    /// If the memory for the output is full, the input waits.
    case block
    /// If the memory for the output is full, events are dropped and counted.
    case drop
    /// Events wait on disk.
    case spool
}

/// Holds the lines that an output has not written yet: filled by the router's thread, emptied by the output's own.
///
/// While the output keeps up, its lines wait where they were read. When it does not, they are copied together (`compact`), up
/// to `limitBytes`, so that it delays no other output. Beyond that they stay where they are, the blocks are used up, and the
/// input waits; or they are dropped. An output with a spool always keeps up.
final class OutputBuffer: Sendable {
    static let limitBytes = 4 << 20

    private struct State {
        var batches: [LineBatch] = []
        /// The bytes of those batches that are copies.
        var copiedBytes = 0
        var totalBytes = 0
        var isClosed = false
        var isBroken = false
        /// The bytes of all lines that ever came, and of those that the output has accepted or dropped.
        var enteredBytes = 0
        var settledBytes = 0
        /// The bytes of the batch that the output is writing.
        var bytesInHand = 0

        func hasRoom(for copy: LineBatch) -> Bool {
            copiedBytes == 0 || copiedBytes + copy.bytes <= OutputBuffer.limitBytes
        }

        mutating func put(_ copy: LineBatch) {
            totalBytes += copy.bytes
            enteredBytes += copy.bytes
            guard !isBroken else { return }
            batches.append(copy)
            copiedBytes += copy.bytes
        }
    }

    private let state = Monitor(State())
    private let drops: DropCount?

    /// - Parameter drops: counts the dropped events; nil if events are not dropped.
    init(drops: DropCount? = nil) { self.drops = drops }

    // MARK: Filling

    /// Adds lines in blocks of the input; never waits.
    func add(_ batch: LineBatch) {
        state.update { state in
            state.totalBytes += batch.bytes
            state.enteredBytes += batch.bytes
            // Nothing is written to a broken output any more, and its failure is reported elsewhere.
            if !state.isBroken { state.batches.append(batch) }
        }
    }

    /// Adds a copy of lines; waits for room, unless events may be dropped.
    ///
    /// - Returns: the place for `waitUntilSettled`; nil if the lines were dropped.
    @discardableResult
    func put(_ copy: LineBatch) -> Int? {
        if let drops {
            let place = state.update { state -> Int? in
                guard state.hasRoom(for: copy) else { return nil }
                state.put(copy)
                return state.enteredBytes
            }
            if place == nil { drops.add(copy.slices.events) }
            return place
        }
        return state.wait { state -> Int? in
            guard state.isBroken || state.hasRoom(for: copy) else { return nil }
            state.put(copy)
            return state.enteredBytes
        }
    }

    /// Copies the waiting lines together as far as the limit allows, so that their blocks are free. Lines beyond the limit stay in
    /// their blocks, or are dropped if events may be dropped.
    func compact() {
        let dropped = state.read { state in
            guard state.batches.contains(where: \.holdsBlocks) else { return 0 }
            var dropped = 0
            var compacted: [LineBatch] = []
            var isFull = false
            for batch in state.batches {
                isFull = isFull || (batch.holdsBlocks && state.copiedBytes + batch.bytes > OutputBuffer.limitBytes)
                guard batch.holdsBlocks, !isFull else {
                    guard drops != nil, batch.holdsBlocks else {
                        compacted.append(batch)
                        continue
                    }
                    dropped += batch.slices.events
                    state.totalBytes -= batch.bytes
                    state.settledBytes += batch.bytes
                    continue
                }
                if (compacted.last?.room ?? 0) < batch.bytes { compacted.append(LineBatch(room: batch.bytes)) }
                compacted.last?.append(copying: batch)
                state.copiedBytes += batch.bytes
            }
            state.batches = compacted
            return dropped
        }
        drops?.add(dropped)
    }

    /// The bytes of all lines for the output, without those that were dropped.
    var totalBytes: Int { state.read { $0.totalBytes } }

    /// Tells the output that no more lines will come.
    func close() { state.update { $0.isClosed = true } }

    /// Waits until the output has accepted or dropped the lines up to a place.
    ///
    /// - Parameter place: a result of `put`; nil for all lines that have come.
    /// - Returns: false if the output failed.
    func waitUntilSettled(to place: Int? = nil) -> Bool {
        let place = place ?? state.read { $0.enteredBytes }
        return state.wait { $0.isBroken ? false : $0.settledBytes >= place ? true : nil } ?? false
    }

    // MARK: Emptying

    /// Returns the next batch to write; waits for it. By this call, the output has accepted the batch before. Returns nil once the
    /// buffer is closed and empty.
    func next() -> LineBatch? {
        state.update { state in
            state.settledBytes += state.bytesInHand
            state.bytesInHand = 0
        }
        let next = state.wait { state -> LineBatch?? in
            guard let batch = state.batches.first else { return state.isClosed ? .some(nil) : nil }
            state.batches.removeFirst()
            state.bytesInHand = batch.bytes
            if !batch.holdsBlocks { state.copiedBytes -= batch.bytes }
            return .some(batch)
        }
        return next ?? nil
    }

    /// Marks the output as failed: it writes no more, and nobody waits for it.
    func breakOff() {
        state.update { state in
            state.isBroken = true
            state.batches = []
            state.copiedBytes = 0
        }
    }
}

/// Counts the dropped events of one output, and logs their number: at the first, at most every ten seconds, and at the end.
final class DropCount: Sendable {
    private struct State {
        var events = 0
        var logged = 0
        var loggedAt: ContinuousClock.Instant?
    }

    private static let pause = Duration.seconds(10)

    private let name: String
    private let log: Logger
    private let state = Monitor(State())

    private let activity: StageActivity

    init(name: String, log: Logger, activity: StageActivity) {
        (self.name, self.log, self.activity) = (name, log, activity)
    }

    func add(_ events: Int) {
        guard events > 0 else { return }
        activity.countDropped(events)
        let due = state.read { state -> Int? in
            state.events += events
            guard state.loggedAt.map({ .now - $0 >= DropCount.pause }) ?? true else { return nil }
            (state.logged, state.loggedAt) = (state.events, .now)
            return state.events
        }
        if let due { report(due) }
    }

    /// Logs the number of dropped events, unless the log has it already.
    func finish() {
        let (events, isNew) = state.read { state in
            defer { state.logged = state.events }
            return (state.events, state.events > state.logged)
        }
        if isNew { report(events) }
    }

    private func report(_ events: Int) {
        log.warning(
            "dropped \(events) events for \(name): it is too slow",
            metadata: ["to": "\(name)", "dropped": .stringConvertible(events)])
    }
}
