/// Sets how much a spool may hold, and how durable it is.
package struct SpoolLimits: Sendable, Equatable {
    /// Decides what happens when the spool or its disk is full.
    package enum WhenFull: String, Sendable, CaseIterable {
        /// The input waits for room.
        case block
        /// New lines are dropped and counted.
        case drop
    }

    package static let smallestBytes: Int64 = 1 << 20

    /// The limit for all segments together, in bytes. Delivered lines are removed a segment at a time.
    package var totalBytes: Int64
    package var whenFull: WhenFull
    /// Is true if lines are brought to the disk (fdatasync) before they count as accepted. Without it they survive the
    /// end of the process at any moment, but not of the machine.
    package var syncs: Bool

    package init(totalBytes: Int64 = 1 << 30, whenFull: WhenFull = .block, syncs: Bool = false) {
        (self.totalBytes, self.whenFull, self.syncs) = (totalBytes, whenFull, syncs)
    }

    /// The size from which a new segment is begun, small enough that a full spool becomes free piece by piece.
    var segmentBytes: Int64 { min(64 << 20, max(64 << 10, totalBytes / 8)) }
}
