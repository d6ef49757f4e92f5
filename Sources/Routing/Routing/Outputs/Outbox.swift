import System

/// What an output has not written yet: filled by the reader's thread, emptied by the output's own.
///
/// While the output keeps up, its lines wait where they were read. When it does not, they are copied together (`compact`), up
/// to `limitBytes`, so that it holds up nobody else. Beyond that they stay where they are, the blocks are used up, and the
/// input waits; or they are dropped. An output with a spool always keeps up.
final class Outbox: Sendable {
    static let limitBytes = 4 << 20

    private struct State {
        var parcels: [Parcel] = []
        /// Of the copies among the parcels.
        var copiedBytes = 0
        var totalBytes = 0
        var isClosed = false
        var isBroken = false
        /// All that ever came, and what of it has been accepted, or dropped.
        var enteredBytes = 0
        var settledBytes = 0
        /// Of the parcel that the output is writing.
        var bytesInHand = 0

        mutating func put(_ copy: Parcel) {
            totalBytes += copy.bytes
            enteredBytes += copy.bytes
            guard !isBroken else { return }
            parcels.append(copy)
            copiedBytes += copy.bytes
        }
    }

    private let state = Monitor(State())
    private let drops: DropCount?

    /// - Parameter drops: counts what is dropped; without it nothing is.
    init(drops: DropCount? = nil) { self.drops = drops }

    /// Takes what is not a copy; never waits.
    func add(_ parcel: Parcel) {
        state.update { state in
            state.totalBytes += parcel.bytes
            state.enteredBytes += parcel.bytes
            // Nobody writes to a broken output any more; its end is told elsewhere.
            if !state.isBroken { state.parcels.append(parcel) }
        }
    }

    /// Takes a copy, waiting for room.
    ///
    /// - Returns: what `waitUntilSettled` takes.
    @discardableResult
    func put(_ copy: Parcel) -> Int {
        if let drops {
            let (isTaken, place) = state.update { state in
                let hasRoom = state.copiedBytes == 0 || state.copiedBytes + copy.bytes <= Outbox.limitBytes
                if hasRoom { state.put(copy) }
                return (hasRoom, state.enteredBytes)
            }
            if !isTaken { drops.add(copy.places.events) }
            return place
        }
        let place = state.wait { state -> Int? in
            guard state.isBroken || state.copiedBytes == 0 || state.copiedBytes + copy.bytes <= Outbox.limitBytes else {
                return nil
            }
            state.put(copy)
            return state.enteredBytes
        }
        return place ?? 0
    }

    /// Copies lines that still wait, for their blocks to be free, as far as the limit allows.
    func compact() {
        let dropped = state.read { state in
            guard state.parcels.contains(where: \.holdsBlocks) else { return 0 }
            var dropped = 0
            var compacted: [Parcel] = []
            var isFull = false
            for parcel in state.parcels {
                isFull = isFull || (parcel.holdsBlocks && state.copiedBytes + parcel.bytes > Outbox.limitBytes)
                guard parcel.holdsBlocks, !isFull else {
                    guard drops != nil, parcel.holdsBlocks else {
                        compacted.append(parcel)
                        continue
                    }
                    dropped += parcel.places.events
                    state.totalBytes -= parcel.bytes
                    state.settledBytes += parcel.bytes
                    continue
                }
                if (compacted.last?.room ?? 0) < parcel.bytes { compacted.append(Parcel(room: parcel.bytes)) }
                compacted.last?.append(copying: parcel)
                state.copiedBytes += parcel.bytes
            }
            state.parcels = compacted
            return dropped
        }
        drops?.add(dropped)
    }

    /// All that was ever meant for the output.
    var totalBytes: Int { state.read { $0.totalBytes } }

    /// Tells the output that nothing more will come.
    func close() { state.update { $0.isClosed = true } }

    /// The next parcel to write; waits for it. nil: there will be none.
    func next() -> Parcel? {
        state.update { state in
            state.settledBytes += state.bytesInHand
            state.bytesInHand = 0
        }
        let next = state.wait { state -> Parcel?? in
            guard let parcel = state.parcels.first else { return state.isClosed ? .some(nil) : nil }
            state.parcels.removeFirst()
            state.bytesInHand = parcel.bytes
            if !parcel.holdsBlocks { state.copiedBytes -= parcel.bytes }
            return .some(parcel)
        }
        return next ?? nil
    }

    /// Waits until the output has accepted, or dropped, what came up to a place; false: it failed.
    ///
    /// - Parameter place: nil: everything that has come.
    func waitUntilSettled(to place: Int? = nil) -> Bool {
        let place = place ?? state.read { $0.enteredBytes }
        return state.wait { $0.isBroken ? false : $0.settledBytes >= place ? true : nil } ?? false
    }

    /// Tells the reader that this output writes no more.
    func breakOff() {
        state.update { state in
            state.isBroken = true
            state.parcels = []
            state.copiedBytes = 0
        }
    }
}
