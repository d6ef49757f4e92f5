package import JSON

/// Makes the requests of an export from lines of the log store.
package struct OTLPRequest: Sendable {
    private let settings: OTLPSettings
    private let host: String
    private let version: String

    package init(_ settings: OTLPSettings, host: String, version: String) {
        (self.settings, self.host, self.version) = (settings, host, version)
    }

    /// Makes a request from lines; those of another signal, and spans that are not sampled, are left out.
    ///
    /// - Returns: the request, and the number of lines in it.
    package func message(_ signal: OTLPSignal, _ lines: [JSONObject]) -> (message: OTLPMessage, count: Int) {
        var groups: [(key: String, first: JSONObject, items: [OTLPMessage])] = []
        var count = 0
        for line in lines {
            guard let item = signal == .traces ? span(line) : log(line) else { continue }
            count += 1
            let key = "\(line["tool"]?.string ?? "") \(line["pid"]?.int ?? 0)"
            if let index = groups.lastIndex(where: { $0.key == key }) {
                groups[index].items.append(item)
            } else {
                groups.append((key, line, [item]))
            }
        }
        var message = OTLPMessage()
        let resources = groups.map { resource(signal, $0.first, $0.items) }
        message.add(1, signal == .traces ? "resourceSpans" : "resourceLogs", .messages(resources))
        return (message, count)
    }

    private func resource(_ signal: OTLPSignal, _ line: JSONObject, _ items: [OTLPMessage]) -> OTLPMessage {
        let tool = line["tool"]?.string ?? "unknown"
        var attributes: JSONObject = [
            "service.name": .string(tool), "service.namespace": "tgpipe", "host.name": .string(host),
            "process.pid": line["pid"]?.int.map { .integer($0) },
            "service.instance.id": line["pid"]?.int.map { .string("\(host):\($0)") },
        ]
        if settings.attributes["service.name"] != nil { attributes["tgpipe.tool"] = .string(tool) }
        for member in settings.attributes.members { attributes[member.key] = member.value }
        var resource = OTLPMessage()
        resource.add(1, "attributes", .attributes(attributes))
        var scope = OTLPMessage()
        scope.add(1, "name", .string("tgpipe"))
        scope.add(2, "version", .string(version))
        var scoped = OTLPMessage()
        scoped.add(1, "scope", .message(scope))
        scoped.add(2, signal == .traces ? "spans" : "logRecords", .messages(items))
        var message = OTLPMessage()
        message.add(1, "resource", .message(resource))
        message.add(2, signal == .traces ? "scopeSpans" : "scopeLogs", .messages([scoped]))
        return message
    }

    // MARK: Spans

    private static let kinds = ["send": 4, "create": 4, "receive": 3, "process": 5, "settle": 3]

    private func span(_ line: JSONObject) -> OTLPMessage? {
        guard line["level"] == nil, let id = line["span_id"]?.string.flatMap({ OTLPRequest.bytes($0, count: 8) }),
            let trace = OTLPRequest.trace(line), let time = line["time"]?.string.flatMap({ Timestamp($0) }),
            time.microseconds >= 0,
            settings.samples(
                lowBits: OTLPRequest.number(trace.suffix(8)), parentIsSampled: line["sampled"]?.bool ?? true)
        else { return nil }
        let operation = line["operation"]?.string ?? "process"
        let parent = line["parent_id"]?.string.flatMap { OTLPRequest.bytes($0, count: 8) }
        let destination = line["queue"]?.string ?? line["event_type"]?.string ?? ""
        let start = UInt64(time.microseconds) &* 1000
        var message = OTLPMessage(capacity: 10)
        message.add(1, "traceId", .id(trace))
        message.add(2, "spanId", .id(id))
        message.add(4, "parentSpanId", parent.map { .id($0) })
        message.add(5, "name", .string("\(operation) \(destination)"))
        message.add(6, "kind", .number(OTLPRequest.kinds[operation] ?? 1))
        message.add(7, "startTimeUnixNano", .fixed64(start))
        message.add(8, "endTimeUnixNano", .fixed64(start &+ UInt64(max(0, line["duration_ns"]?.int ?? 0))))
        message.add(9, "attributes", .attributes(attributes(line, operation)))
        // Viewers show parents better than links; the conventions ask for the link to the span that made the message.
        if let parent, operation == "receive" || operation == "process" {
            var link = OTLPMessage()
            link.add(1, "traceId", .id(trace))
            link.add(2, "spanId", .id(parent))
            message.add(13, "links", .messages([link]))
        }
        if let status = status(line) { message.add(15, "status", .message(status)) }
        return message
    }

    private func status(_ line: JSONObject) -> OTLPMessage? {
        guard ["failed", "refused"].contains(line["outcome"]?.string) else { return nil }
        var status = OTLPMessage()
        status.add(2, "message", line["error"]?.string.map { .string($0) })
        status.add(3, "code", .number(2))
        return status
    }

    private func attributes(_ line: JSONObject, _ operation: String) -> JSONObject {
        [
            "messaging.system": .string(line["queue"] == nil ? "tgpipe" : "redis_streams"),
            "messaging.operation.type": .string(operation), "messaging.operation.name": .string(operation),
            "messaging.destination.name": line["queue"] ?? line["event_type"],
            "messaging.message.id": line["event_id"], "messaging.message.conversation_id": line["correlation_id"],
            "tgpipe.event.type": line["event_type"], "tgpipe.causation_id": line["causation_id"],
            "tgpipe.outcome": line["outcome"], "tgpipe.attempt": line["attempt"],
            "error.type": ["failed", "refused"].contains(line["outcome"]?.string) ? line["outcome"] : nil,
        ]
    }

    // MARK: Log records

    private static let severities = [
        "trace": 1, "debug": 5, "info": 9, "notice": 10, "warning": 13, "error": 17, "critical": 21,
    ]
    private static let ownKeys: Set<String> = ["time", "level", "tool", "message", "span_id", "trace_id", "pid"]

    private func log(_ line: JSONObject) -> OTLPMessage? {
        guard let level = line["level"]?.string, let time = line["time"]?.string.flatMap({ Timestamp($0) }),
            time.microseconds >= 0
        else { return nil }
        let nanoseconds = UInt64(time.microseconds) &* 1000
        var message = OTLPMessage()
        message.add(1, "timeUnixNano", .fixed64(nanoseconds))
        message.add(2, "severityNumber", .number(OTLPRequest.severities[level] ?? 9))
        message.add(3, "severityText", .string(level))
        message.add(5, "body", .message(.any(line["message"] ?? "")))
        let rest = JSONObject(line.members.filter { !OTLPRequest.ownKeys.contains($0.key) })
        message.add(6, "attributes", .attributes(rest))
        message.add(9, "traceId", OTLPRequest.trace(line).map { .id($0) })
        message.add(10, "spanId", line["span_id"]?.string.flatMap { OTLPRequest.bytes($0, count: 8) }.map { .id($0) })
        message.add(11, "observedTimeUnixNano", .fixed64(nanoseconds))
        return message
    }

    // MARK: Ids

    private static func trace(_ line: JSONObject) -> [UInt8]? {
        let own = line["trace_id"]?.string.flatMap { bytes($0, count: 16) }
        return own ?? line["correlation_id"]?.string.flatMap { bytes($0, count: 16, skipping: UInt8(ascii: "-")) }
    }

    /// Reads hexadecimal digits; nil for another number of them, and for zeros only.
    ///
    /// - Parameter separator: a character that may stand between the digits.
    private static func bytes(_ text: String, count: Int, skipping separator: UInt8? = nil) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        var high: UInt8?
        for character in text.utf8 where character != separator {
            guard let digit = hexValue(character), bytes.count < count else { return nil }
            if let first = high { bytes.append(first << 4 | digit) }
            high = high == nil ? digit : nil
        }
        return high == nil && bytes.count == count && bytes.contains { $0 != 0 } ? bytes : nil
    }

    private static func number(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
