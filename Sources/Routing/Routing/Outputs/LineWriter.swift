import Glibc
import JSON
import Logging
import Spool
import Stage
import Synchronization
import System

/// Writes lines to standard output, a file or a FIFO.
final class LineWriter: OutputWriter {
    private let output: LineOutput
    private let bytes = Atomic(0)
    private let events = Atomic(0)

    init(endpoint: String, log: Logger) throws(ToolError) {
        let name = endpoint.printable
        try LineWriter.requireFIFO(endpoint)
        output = try LineOutput(endpoint: endpoint, readers: .mayComeAndGo) {
            log.warning("no reader takes the contents of \(name); waiting for a reader")
        }
    }

    /// Refuses a missing path that is meant to be a FIFO: a file would be created in its place, and its reader would come to its end.
    static func requireFIFO(_ path: String) throws(ToolError) {
        guard !path.hasSuffix(".fifo") || access(path, F_OK) == 0 else {
            throw ToolError(.localIO, "there is no \(path.printable): create it with mkfifo")
        }
    }

    func write(_ batch: LineBatch) throws(ToolError) {
        var written = 0
        do throws(ToolError) {
            try batch.slices.pieces.withUnsafeBufferPointer { pieces throws(ToolError) in
                try output.write(pieces) { count in
                    written += count
                    bytes.add(count, ordering: .relaxed)
                }
            }
            events.add(batch.slices.events, ordering: .relaxed)
        } catch {
            events.add(batch.slices.events(inFirst: written), ordering: .relaxed)
            throw error
        }
    }

    func finish() throws(ToolError) { try output.finish() }

    func giveUp() {}

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { output.unreadBytes }
}

/// Writes lines of a spool to standard output, a file or a device. If the process is killed after a write and before the position is
/// recorded, the next process writes those lines again.
final class LineReceiver: SpoolReceiver {
    private let output: LineOutput

    init(endpoint: String) throws(ToolError) { output = try LineOutput(endpoint: endpoint) }

    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(ToolError) -> Bool {
        try output.write(stretch.bytes)
        reader.skip(stretch.bytes.count)
        reader.forget(keeping: 0)
        return true
    }

    func finish(_ reader: SpoolReader) throws(ToolError) -> Bool {
        try output.finish()
        return true
    }
}
