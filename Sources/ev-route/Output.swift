import Blocking
import Envelope
import Logging
import Stage

/// One target of routes: its outbox, and the thread that empties it.
final class Output: Sendable {
    let name: String
    let outbox = Outbox()
    private let sink: any Sink

    init(_ target: Target, log: Logger) throws(StageError) {
        name = target.name.printable
        sink =
            switch target {
            case .standardOutput: try LineSink(endpoint: "-", log: log)
            case .path(let path): try LineSink(endpoint: path, log: log)
            case .command(let command): try CommandSink(command: command, log: log)
            }
    }

    /// Writes what comes into the outbox until it is closed; blocks.
    ///
    /// - Throws: what went wrong, and how many events had been accepted until then.
    func run() throws(StageError) {
        do throws(StageError) {
            while let parcel = outbox.next() { try sink.write(parcel) }
            try sink.finish()
        } catch {
            outbox.breakOff()
            throw StageError(error.exitStatus, "\(error.message); it had accepted \(sink.acceptedEvents) events")
        }
    }

    /// What would be lost if the process ended now.
    var undeliveredBytes: Int { outbox.totalBytes - sink.acceptedBytes + sink.unreadBytes }

    func giveUp() { sink.giveUp() }
}
