import Envelope
import Glibc
import JSON
package import Logging
package import Options

/// Writes log lines to standard error, each with time, level, tool and, inside of a request, the correlation id.
package struct StandardErrorLog: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    package var metadataProvider: Logger.MetadataProvider?
    let tool: String
    let format: LogFormat

    package init(tool: String, level: Logger.Level, format: LogFormat) {
        self.tool = tool
        logLevel = level
        self.format = format
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        var line =
            switch format {
            case .human: human(event.level, "\(event.message)", fields)
            case .json: json(event.level, "\(event.message)", fields)
            }
        line.append(UInt8(ascii: "\n"))
        // One write a line, so that the lines of stages that share a terminal do not mix.
        line.withUnsafeBytes { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private func human(_ level: Logger.Level, _ message: String, _ fields: [(key: String, value: Logger.MetadataValue)])
        -> [UInt8]
    {
        var text = level >= .error ? "\(tool): error: " : level == .warning ? "\(tool): warning: " : "\(tool): "
        text += message
        var notes = fields.map { "\($0.key)=\($0.value)" }
        if let correlation = Correlation.current?.correlationID { notes.append("correlation=\(correlation)") }
        if !notes.isEmpty { text += " (\(notes.joined(separator: " ")))" }
        return Array(text.printable.utf8)
    }

    private func json(_ level: Logger.Level, _ message: String, _ fields: [(key: String, value: Logger.MetadataValue)])
        -> [UInt8]
    {
        var object: JSONObject = [
            "time": .string(Timestamp.now.description), "level": .string(level.rawValue), "tool": .string(tool),
            "correlation_id": (Correlation.current?.correlationID.description).map { .string($0) },
            "message": .string(message),
        ]
        for (key, value) in fields { object[key] = .string("\(value)") }
        return JSON.object(object).bytes
    }
}
