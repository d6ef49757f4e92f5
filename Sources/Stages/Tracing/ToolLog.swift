import Envelope
import Glibc
import JSON
package import Logging
import Synchronization

/// Receives log records: a terminal, a file of JSON lines, a central store.
package protocol LogSink: Sendable {
    /// Writes one record. It is called on the thread of the code that logs.
    func write(_ record: LogRecord)
}

/// Writes records as lines for people.
package struct TextLogSink: LogSink {
    private let descriptor: Int32

    package init(descriptor: Int32 = STDERR_FILENO) { self.descriptor = descriptor }

    package func write(_ record: LogRecord) { writeLine(Array(record.text.utf8), to: descriptor) }
}

/// Writes records as lines of JSON.
package struct JSONLogSink: LogSink {
    private let descriptor: Int32

    package init(descriptor: Int32 = STDERR_FILENO) { self.descriptor = descriptor }

    package func write(_ record: LogRecord) { writeLine(JSON.object(record.json).bytes, to: descriptor) }
}

/// Passes on the records of a level and above. The level can be raised while the tool runs.
package final class GatedLogSink: LogSink {
    private let sink: any LogSink
    private let lowest = Mutex(Logger.Level.trace)

    package init(_ sink: any LogSink) { self.sink = sink }

    package func raise(to level: Logger.Level) { lowest.withLock { $0 = level } }

    package func write(_ record: LogRecord) {
        if record.level >= lowest.withLock({ $0 }) { sink.write(record) }
    }
}

/// Writes a line with a single system call, so that lines of stages that share a terminal do not mix.
private func writeLine(_ bytes: [UInt8], to descriptor: Int32) {
    let line = bytes + [UInt8(ascii: "\n")]
    if descriptor == STDERR_FILENO { return StatusArea.standardError.write(line) }
    line.withUnsafeBytes { _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
}

/// Turns the log lines of a tool into records without secrets, and writes each to all sinks.
package struct ToolLog: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    package var metadataProvider: Logger.MetadataProvider?
    private let tool: String
    private let sinks: [any LogSink]

    package init(
        tool: String, level: Logger.Level, sinks: [any LogSink], metadataProvider: Logger.MetadataProvider? = nil
    ) {
        self.tool = tool
        logLevel = level
        self.sinks = sinks
        self.metadataProvider = metadataProvider
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line. Its own metadata takes precedence over the metadata provider's, and that over the logger's.
    package func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        if let error = event.error, fields["error"] == nil { fields["error"] = "\(error)" }
        let current = Correlation.current
        let record = LogRecord(
            level: event.level, message: "\(event.message)", tool: tool, correlationID: current?.correlationID,
            span: current?.trace?.span, metadata: fields)
        for sink in sinks { sink.write(record) }
    }
}
