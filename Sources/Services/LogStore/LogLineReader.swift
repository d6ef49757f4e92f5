package import Envelope
import JSON

/// Holds what the store needs to know about a line.
package struct LineFacts: Sendable, Equatable {
    /// The level that spans have in place of one.
    package static let spanLevel = -1

    /// Microseconds since 1970.
    package var time: Int64
    /// The number of a `LogLevel`, or `spanLevel`.
    package var level: Int
    package var tool: String
    package var correlation: EventID?

    package init(time: Int64, level: Int, tool: String, correlation: EventID?) {
        (self.time, self.level, self.tool, self.correlation) = (time, level, tool, correlation)
    }
}

/// Reads lines of any program, so that all lines in the store have `time`, `level`, `tool` and `message`.
package final class LogLineReader {
    package enum Result {
        /// The line is stored as it is.
        case kept(LineFacts)
        /// These bytes are stored in its place.
        case rewritten([UInt8], LineFacts)
    }

    private let parser = JSONParser()

    package init() {}

    /// Reads a line. One that is no JSON object becomes the message of a line that says so.
    ///
    /// - Parameters:
    ///   - line: `JSONParser.paddingBytes` more bytes must be readable after it.
    ///   - tool: the tool's name where the line has none.
    ///   - now: the time where the line has none, in microseconds since 1970.
    package func read(_ line: UnsafeRawBufferPointer, tool: String, now: Int64) -> Result {
        guard let view = try? parser.view(line, padded: true), view.isObject else {
            return malformed(line.prefix(1000), "it is not a JSON object", tool: tool, now: now)
        }
        return own(view).map { .kept($0) } ?? foreign(view.json.object ?? [:], tool: tool, now: now)
    }

    /// Reads the line of a tool of tgpipe.
    private func own(_ view: JSONView) -> LineFacts? {
        var (time, level, tool, correlation): (Int64?, Int?, String?, EventID?)
        var (hasMessage, isSpan) = (false, false)
        for (key, value) in view.members {
            guard let text = value.text else { continue }
            if key.isEqual(to: "time") {
                time = LineTime.microseconds(text)
            } else if key.isEqual(to: "level") {
                level = LogLineReader.level(text)
            } else if key.isEqual(to: "tool") {
                tool = String(decoding: text, as: UTF8.self)
            } else if key.isEqual(to: "correlation_id") {
                correlation = EventID(utf8: text)
            } else if key.isEqual(to: "message") {
                hasMessage = true
            } else if key.isEqual(to: "span_id") {
                isSpan = true
            }
        }
        guard let time, let tool, !tool.isEmpty else { return nil }
        if let level, hasMessage { return LineFacts(time: time, level: level, tool: tool, correlation: correlation) }
        guard isSpan, level == nil, !hasMessage else { return nil }
        return LineFacts(time: time, level: LineFacts.spanLevel, tool: tool, correlation: correlation)
    }

    private static func level(_ text: UnsafeRawBufferPointer) -> Int? {
        if text.isEqual(to: "info") { return LogLevel.info.rawValue }
        if text.isEqual(to: "warning") { return LogLevel.warning.rawValue }
        return LogLevel.allCases.first { $0.name.utf8.elementsEqual(text) }?.rawValue
    }

    /// Makes the line that stands for one that cannot be read.
    package func malformed(
        _ line: some Sequence<UInt8>, _ reason: String, tool: String, now: Int64
    ) -> Result {
        let text = String(decoding: Array(line), as: UTF8.self)
        let object: JSONObject = [
            "time": .string(Timestamp(microseconds: now).description), "level": "warning", "tool": .string(tool),
            "message": .string("a malformed line of the log: \(reason)"), "line": .string(text),
        ]
        return .rewritten(
            JSON.object(object).bytes,
            LineFacts(time: now, level: LogLevel.warning.rawValue, tool: tool, correlation: nil))
    }

    // MARK: Lines of other programs

    private static let times = ["time", "timestamp", "@timestamp", "ts", "datetime", "date"]
    private static let levels = ["level", "severity", "lvl", "loglevel", "levelname", "log.level"]
    private static let tools = ["tool", "service", "app", "program", "logger", "name"]
    private static let messages = ["message", "msg", "event", "text"]
    private static let correlations = ["correlation_id", "correlationId", "trace_id", "traceId", "request_id"]

    /// Makes a line of the usual form from one of another program; what it does not know follows unchanged.
    private func foreign(_ object: JSONObject, tool: String, now: Int64) -> Result {
        if let entry = JournalEntry(object) { return read(entry, tool: tool, now: now) }
        var rest = object
        func take<Value>(_ keys: [String], _ read: (JSON) -> Value?) -> Value? {
            for key in keys {
                guard let value = object[key].flatMap(read) else { continue }
                rest[key] = nil
                return value
            }
            return nil
        }
        let facts = LineFacts(
            time: take(LogLineReader.times, LogLineReader.time) ?? now,
            level: (take(LogLineReader.levels, LogLineReader.level) ?? .info).rawValue,
            tool: take(LogLineReader.tools) { $0.string.flatMap { $0.isEmpty ? nil : $0 } } ?? tool,
            correlation: take(LogLineReader.correlations, LogLineReader.correlation))
        return rewritten(facts, message: take(LogLineReader.messages) { $0.string } ?? "", rest)
    }

    private func rewritten(_ facts: LineFacts, message: String, _ rest: JSONObject) -> Result {
        var line: JSONObject = [
            "time": .string(Timestamp(microseconds: facts.time).description),
            "level": .string((LogLevel(rawValue: facts.level) ?? .info).name), "tool": .string(facts.tool),
            "correlation_id": facts.correlation.map { .string($0.description) }, "message": .string(message),
        ]
        for member in rest.members {
            let isTaken = line[member.key] != nil || member.key == "span_id"
            line[isTaken ? "metadata_\(member.key)" : member.key] = member.value
        }
        return .rewritten(JSON.object(line).bytes, facts)
    }

    private static func time(_ json: JSON) -> Int64? {
        if let text = json.string { return Timestamp(text)?.microseconds }
        return json.double.flatMap { LineTime.microseconds(number: $0) }
    }

    private static func level(_ json: JSON) -> LogLevel? {
        json.string.flatMap { LogLevel(name: $0) } ?? json.int.flatMap { LogLevel(tens: $0) ?? LogLevel(priority: $0) }
    }

    /// Reads a UUID, with or without its hyphens.
    private static func correlation(_ json: JSON) -> EventID? {
        guard let text = json.string else { return nil }
        return EventID(text) ?? CorrelationPrefix(text).flatMap { $0.digits == 32 ? $0.lowest : nil }
    }

    // MARK: The journal

    /// Reads an entry of journald. A message that is itself a line of tgpipe takes the entry's place.
    package func read(_ entry: JournalEntry, tool: String, now: Int64) -> Result {
        let message = entry.text("MESSAGE") ?? ""
        if let own = ownLine(message) { return own }
        let facts = LineFacts(
            time: entry.microseconds ?? now, level: entry.level.rawValue, tool: entry.program ?? tool, correlation: nil)
        return rewritten(facts, message: message, entry.furtherFields)
    }

    /// Returns whether a message is a line that a tool of tgpipe has written.
    package func isOwn(_ message: String) -> Bool { ownLine(message) != nil }

    /// Returns a line that stands in a message, if it has the form of tgpipe's lines.
    private func ownLine(_ text: String) -> Result? {
        guard text.utf8.first == UInt8(ascii: "{") else { return nil }
        var bytes = Array(text.utf8)
        let count = bytes.count
        bytes += [UInt8](repeating: 0, count: JSONParser.paddingBytes)
        let facts = bytes.withUnsafeBytes { all -> LineFacts? in
            guard let view = try? parser.view(UnsafeRawBufferPointer(rebasing: all[..<count]), padded: true),
                view.isObject
            else { return nil }
            return own(view)
        }
        return facts.map { .rewritten(Array(bytes[..<count]).withoutLineFeeds, $0) }
    }
}

extension [UInt8] {
    /// The bytes as one line: JSON has line feeds between its values only.
    fileprivate var withoutLineFeeds: [UInt8] { map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 } }
}
