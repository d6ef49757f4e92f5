import Envelope
package import JSON
import Logging
import Synchronization
import System

/// Keeps the last error in the log, for the heartbeat.
package final class LastError: LogSink {
    private static let longest = 300

    private let kept = Mutex<(time: Timestamp, message: String)?>(nil)

    package init() {}

    /// The time and the beginning of the message, without secrets; nil if there was no error.
    package var latest: (time: Timestamp, message: String)? { kept.withLock { $0 } }

    package func write(_ record: LogRecord) {
        guard record.level >= .error else { return }
        let message = record.message.printable(atMost: LastError.longest)
        kept.withLock { $0 = (record.time, message) }
    }
}
