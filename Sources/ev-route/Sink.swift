import Envelope
import Glibc
import Logging
import Stage
import Synchronization

/// What an output's thread writes to. `write` and `finish` are that thread's; the counts are anybody's.
protocol Sink: Sendable {
    /// Returns when all the lines are accepted.
    func write(_ parcel: Parcel) throws(StageError)
    /// Returns when nothing can be lost any more.
    func finish() throws(StageError)
    /// The end of the waiting: what `finish` would have waited for is given up.
    func giveUp()

    var acceptedBytes: Int { get }
    var acceptedEvents: Int { get }
    /// Accepted, but in the kernel still: lost when the output ends now.
    var unreadBytes: Int { get }
}

/// Standard output, a file or a FIFO.
final class LineSink: Sink {
    private let output: LineOutput
    private let bytes = Atomic(0)
    private let events = Atomic(0)

    init(endpoint: String, log: Logger) throws(StageError) {
        let name = endpoint.printable
        try LineSink.requireFIFO(endpoint)
        output = try LineOutput(endpoint: endpoint, readers: .mayComeAndGo) {
            log.warning("nobody takes what is in \(name); waiting for a reader")
        }
    }

    /// A file in its place would be filled, and whoever reads it would see its end.
    static func requireFIFO(_ path: String) throws(StageError) {
        guard !path.hasSuffix(".fifo") || access(path, F_OK) == 0 else {
            throw StageError(.localIO, "there is no \(path.printable): make it with mkfifo")
        }
    }

    func write(_ parcel: Parcel) throws(StageError) {
        var written = 0
        do throws(StageError) {
            try parcel.places.pieces.withUnsafeBufferPointer { pieces throws(StageError) in
                try output.write(pieces) { count in
                    written += count
                    bytes.add(count, ordering: .relaxed)
                }
            }
            events.add(parcel.places.events, ordering: .relaxed)
        } catch {
            events.add(parcel.places.events(inFirst: written), ordering: .relaxed)
            throw error
        }
    }

    func finish() throws(StageError) { try output.finish() }

    func giveUp() {}

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { output.unreadBytes }
}
