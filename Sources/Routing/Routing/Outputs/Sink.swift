import Glibc
import JSON
import Logging
import Stage
import Synchronization
import System

/// What an output's thread writes to. `write` and `finish` are that thread's; the counts are anybody's.
protocol Sink: Sendable {
    /// Returns when all the lines are accepted.
    func write(_ parcel: Parcel) throws(ToolError)
    /// Returns when nothing can be lost any more.
    func finish() throws(ToolError)
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

    init(endpoint: String, log: Logger) throws(ToolError) {
        let name = endpoint.printable
        try LineSink.requireFIFO(endpoint)
        output = try LineOutput(endpoint: endpoint, readers: .mayComeAndGo) {
            log.warning("nobody takes what is in \(name); waiting for a reader")
        }
    }

    /// A file in its place would be filled, and whoever reads it would see its end.
    static func requireFIFO(_ path: String) throws(ToolError) {
        guard !path.hasSuffix(".fifo") || access(path, F_OK) == 0 else {
            throw ToolError(.localIO, "there is no \(path.printable): make it with mkfifo")
        }
    }

    func write(_ parcel: Parcel) throws(ToolError) {
        var written = 0
        do throws(ToolError) {
            try parcel.places.pieces.withUnsafeBufferPointer { pieces throws(ToolError) in
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

    func finish() throws(ToolError) { try output.finish() }

    func giveUp() {}

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { output.unreadBytes }
}
