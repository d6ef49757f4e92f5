import System
package import Envelope
package import JSON
import Logging
import Payloads
import Queue
import Synchronization

/// Represents a line that cannot be handled, with the reason.
package struct RefusedLine: Sendable {
    /// The line, or the beginning of a line over the limit.
    package let line: [UInt8]
    let sizeBytes: Int
    package let fault: MalformedInput
    let correlationID: EventID?

    /// - Parameter sizeBytes: the size of the whole line, also if `line` holds only its beginning.
    package init(line: [UInt8], sizeBytes: Int, fault: MalformedInput, correlationID: EventID?) {
        self.line = line
        self.sizeBytes = sizeBytes
        self.fault = fault
        self.correlationID = correlationID
    }

    /// Returns whether this is the refusal of a line, of which only the beginning may have been kept.
    package func isOf(_ line: [UInt8]) -> Bool { sizeBytes == line.count && line.starts(with: self.line) }

    package static func tooLong(prefix: [UInt8], sizeBytes: Int) -> RefusedLine {
        RefusedLine(
            line: prefix, sizeBytes: sizeBytes, fault: MalformedInput(.tooLong, "longer than --max-line"),
            correlationID: nil)
    }

    /// Returns the `events.dead_letter` for the line.
    package func deadLetter(tool: String) -> Envelope {
        Envelope(
            DeadLetter(line: line, sizeBytes: sizeBytes, fault: fault, tool: tool),
            correlationID: correlationID ?? EventID())
    }
}

/// Writes refused lines to the dead-letter output, a file or FIFO of `events.dead_letter`, and logs or counts each of them.
package final class DeadLetters: Sendable {
    private let runtime: Runtime
    private let output: EventOutput?

    package init(runtime: Runtime, path: String?) async throws {
        self.runtime = runtime
        output = if let path { try await EventOutput(endpoint: path, shutdown: runtime.shutdown) } else { nil }
    }

    /// Logs a refused line and writes its dead letter; returns when that is written.
    package func add(_ refused: RefusedLine) async throws {
        runtime.note(refused)
        try await output?.write([refused.deadLetter(tool: runtime.tool)])
    }

    /// Writes the dead letter of an event that is given up. The stage has logged the reason.
    func add(_ line: [UInt8], _ reason: DeadLetterReason, correlationID: EventID) async throws {
        let letter = DeadLetter(line: line, code: reason.code, reason: reason.text, tool: runtime.tool)
        try await output?.write([Envelope(letter, correlationID: correlationID)])
    }
}

/// Decides which refused lines are logged in full: the first five of a kind, then one a minute. The others are counted, so that a
/// million malformed lines do not make a million log lines.
struct RefusalLog {
    static let loggedInFull = 5
    static let window = Duration.seconds(60)

    private struct Kind {
        var start: ContinuousClock.Instant
        var logged = 0
        var counted = 0
    }

    private var kinds: [MalformedInput.Code: Kind] = [:]

    var isEmpty: Bool { kinds.isEmpty }

    /// Takes one refused line.
    ///
    /// - Returns: whether the line is logged in full, and the number of lines before it that were only counted.
    mutating func add(_ code: MalformedInput.Code, at now: ContinuousClock.Instant) -> (isLogged: Bool, counted: Int) {
        var kind = kinds[code] ?? Kind(start: now)
        defer { kinds[code] = kind }
        if kind.logged < RefusalLog.loggedInFull {
            kind.logged += 1
            return (true, 0)
        }
        if now - kind.start < RefusalLog.window {
            kind.counted += 1
            return (false, 0)
        }
        let counted = kind.counted
        kind = Kind(start: now, logged: 1)
        return (true, counted)
    }

    /// The number of lines of each kind that were counted and not logged yet.
    var unlogged: [(code: MalformedInput.Code, counted: Int)] {
        kinds.filter { $0.value.counted > 0 }
            .map { ($0.key, $0.value.counted) }
            .sorted { $0.code.rawValue < $1.code.rawValue }
    }
}

extension Runtime {
    /// Logs or counts a refused line, and notes it for the exit status.
    package func note(_ refused: RefusedLine) {
        activity.countFailed(1)
        let code = refused.fault.code
        let (isLogged, counted) = refusals.withLock { $0.add(code, at: .now) }
        if counted > 0 { logCount(code, counted) }
        guard isLogged else { return }
        log.warning(
            "refused a line: \(refused.fault.reason)",
            metadata: [
                "code": "\(code.rawValue)", "size_bytes": .stringConvertible(refused.sizeBytes),
                "line": "\(String(decoding: refused.line.prefix(120), as: UTF8.self).printable)",
            ])
        guard code == .notJSON, let text = advice.withLock({ $0.take() }) else { return }
        log.notice("\(text)")
    }

    /// Sets what a user is told once who gives lines that are no events.
    package func advise(onText text: String) { advice.withLock { $0 = text } }

    /// Logs the number of refused lines that have only been counted.
    func logCountedRefusals() {
        for (code, counted) in refusals.withLock({ $0.unlogged }) { logCount(code, counted) }
    }

    private func logCount(_ code: MalformedInput.Code, _ counted: Int) {
        log.warning(
            "refused \(counted) more lines",
            metadata: ["code": "\(code.rawValue)", "count": .stringConvertible(counted)])
    }
}
