package import JSON

/// Keeps a line that a stage refused or gave up, with the reason: `events.dead_letter`.
package struct DeadLetter: EventPayload {
    package static let type = "events.dead_letter"
    package static let types = [type]

    /// The number of bytes that are kept of a line: a dead letter must itself fit an envelope.
    private static let keptBytes = 1 << 20

    /// The tool that refused the line or gave it up.
    package var tool: String
    /// A word for scripts; see the list in `schemas/events.dead_letter.json`.
    package var code: String
    /// The reason, as one line for people.
    package var reason: String
    /// The line, or its beginning, without its line feed.
    package var line: [UInt8]
    /// The size of the whole line.
    package var sizeBytes: Int64
    /// nil for a line that came through a pipe.
    package var queue: QueueEntry?

    /// Describes the entry of a dead-letter queue that holds a line.
    package struct QueueEntry: Sendable, Hashable {
        /// The name of the queue.
        package var queue: String
        /// The entry's id, as `ev-queue redrive` expects it.
        package var entry: String
        /// The consumer group that gave the event up.
        package var group: String?
        /// The last worker: host, process id and a random number.
        package var worker: String?
        package var attempts: Int64?
        /// RFC 3339, kept as it was written.
        package var failedAt: String?

        package init(
            queue: String, entry: String, group: String?, worker: String?, attempts: Int64?, failedAt: Timestamp
        ) {
            (self.queue, self.entry, self.group, self.worker) = (queue, entry, group, worker)
            (self.attempts, self.failedAt) = (attempts, failedAt.description)
        }

        init?(_ reader: inout PayloadReader) {
            guard let queue = reader.string("queue"), let entry = reader.string("entry") else { return nil }
            (self.queue, self.entry) = (queue, entry)
            (group, worker) = (reader.string("group"), reader.string("worker"))
            (attempts, failedAt) = (reader.integer("attempts"), reader.string("failed_at"))
        }

        var members: [JSONObject.Member] {
            JSONObject(
                dictionaryLiteral: ("queue", .string(queue)), ("entry", .string(entry)), ("group", JSON(group)),
                ("worker", JSON(worker)), ("attempts", JSON(attempts)), ("failed_at", JSON(failedAt))
            ).members
        }
    }

    /// Keeps a line, up to 1 MiB of it.
    ///
    /// - Parameters:
    ///   - sizeBytes: The size of the whole line; needed only if `line` is no more than its beginning.
    ///   - code: A word for scripts; see `schemas/events.dead_letter.json`.
    package init(
        line: [UInt8], sizeBytes: Int? = nil, code: String, reason: String, tool: String, queue: QueueEntry? = nil
    ) {
        (self.tool, self.code, self.reason, self.queue) = (tool, code, reason, queue)
        self.line = Array(line.prefix(DeadLetter.keptBytes))
        self.sizeBytes = Int64(sizeBytes ?? line.count)
    }

    /// Keeps a malformed line, up to 1 MiB of it.
    package init(line: [UInt8], sizeBytes: Int? = nil, fault: MalformedInput, tool: String) {
        self.init(line: line, sizeBytes: sizeBytes, code: fault.code.rawValue, reason: fault.reason, tool: tool)
    }

    /// - Throws: `MalformedInput` if there is no tool, code, reason or line.
    package init(_ payload: JSONObject, type: String = DeadLetter.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        let text = reader.string("line").map { Array($0.utf8) }
        guard let tool = reader.string("tool"), let code = reader.string("code"),
            let reason = reader.string("reason"),
            let line = text ?? reader.string("line_base64").flatMap({ Base64.decode($0) })
        else { throw MalformedInput(.invalidPayload, "\(type): tool, code, reason and line are needed") }
        (self.tool, self.code, self.reason, self.line) = (tool, code, reason, line)
        sizeBytes = reader.integer("size_bytes") ?? Int64(line.count)
        queue = QueueEntry(&reader)
    }

    package var type: String { DeadLetter.type }

    package var json: JSONObject {
        var json: JSONObject = ["tool": .string(tool), "code": .string(code), "reason": .string(reason)]
        if let text = String(validating: line, as: UTF8.self) {
            json["line"] = .string(text)
        } else {
            json["line_base64"] = .string(Base64.encode(line))
        }
        json["size_bytes"] = .integer(sizeBytes)
        json["truncated"] = .bool(line.count < sizeBytes)
        return JSONObject(json.members + (queue?.members ?? []))
    }
}
