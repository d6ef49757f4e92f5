import Envelope
import Glibc
public import Logging

/// How log lines look on standard error.
public enum LogFormat: String, Sendable, CaseIterable {
    /// For people: what a terminal gets.
    case human
    /// One JSON object a line: what everything else gets.
    case json
}

/// Writes log lines to standard error, each with time, level, tool and, inside of a request, the correlation id.
public struct StandardErrorLog: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level
    public var metadataProvider: Logger.MetadataProvider?
    let tool: String
    let format: LogFormat

    public init(tool: String, level: Logger.Level, format: LogFormat) {
        self.tool = tool
        logLevel = level
        self.format = format
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
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

extension String {
    /// Without control characters: what comes from outside must not steer the terminal that shows it.
    public var printable: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
    }
}
