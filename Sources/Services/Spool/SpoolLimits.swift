/// How much a spool may hold, and how safe that is.
package struct SpoolLimits: Sendable, Equatable {
    /// What happens when it is full, or its disk is.
    package enum WhenFull: String, Sendable, CaseIterable {
        /// The input waits.
        case block
        /// New lines are dropped, and counted.
        case drop
    }

    package static let smallestBytes: Int64 = 1 << 20

    /// Of all segments together; what has been delivered goes a segment at a time.
    package var totalBytes: Int64
    package var whenFull: WhenFull
    /// Whether lines are on the disk (fdatasync) before they count as taken. Without it they survive the end of the process at any
    /// moment, but not of the machine.
    package var syncs: Bool

    package init(totalBytes: Int64 = 1 << 30, whenFull: WhenFull = .block, syncs: Bool = false) {
        (self.totalBytes, self.whenFull, self.syncs) = (totalBytes, whenFull, syncs)
    }

    /// A new segment is begun beyond this: small enough that full spools become free piece by piece.
    var segmentBytes: Int64 { min(64 << 20, max(64 << 10, totalBytes / 8)) }
}
