package import Envelope
package import JSON
import Logging
import Payloads
import Synchronization

/// A line that nothing can be done with, and why.
package struct Refused: Sendable {
    let line: [UInt8]
    let sizeBytes: Int
    package let fault: MalformedInput
    let correlationID: EventID?

    /// - Parameter sizeBytes: of the whole line, when `line` is only its beginning.
    package init(line: [UInt8], sizeBytes: Int, fault: MalformedInput, correlationID: EventID?) {
        self.line = line
        self.sizeBytes = sizeBytes
        self.fault = fault
        self.correlationID = correlationID
    }

    package func isOf(_ line: [UInt8]) -> Bool { self.line == line }

    package static func tooLong(prefix: [UInt8], sizeBytes: Int) -> Refused {
        Refused(
            line: prefix, sizeBytes: sizeBytes, fault: MalformedInput(.tooLong, "longer than --max-line"),
            correlationID: nil)
    }

    /// The `events.dead_letter` that tells of it.
    package func deadLetter(tool: String) -> Envelope {
        Envelope(
            DeadLetter(line: line, sizeBytes: sizeBytes, fault: fault, tool: tool),
            correlationID: correlationID ?? EventID())
    }
}

/// The dead-letter output: a file or FIFO of `events.dead_letter`, and always a line in the log or a count there.
package final class DeadLetters: Sendable {
    private let runtime: Runtime
    private let output: EventOutput?

    package init(runtime: Runtime, path: String?) async throws {
        self.runtime = runtime
        output = if let path { try await EventOutput(endpoint: path, shutdown: runtime.shutdown) } else { nil }
    }

    /// Returns when the dead letter is written.
    package func add(_ refused: Refused) async throws {
        runtime.note(refused)
        try await output?.write([refused.deadLetter(tool: runtime.tool)])
    }
}

/// Which refused lines are told in full: the first few of a kind a minute. The rest are counted, so that a million malformed
/// lines make no million lines of log.
struct RefusalLog {
    static let toldInFull = 5
    static let window = Duration.seconds(60)

    private struct Kind {
        var start: ContinuousClock.Instant
        var told = 0
        var counted = 0
    }

    private var kinds: [MalformedInput.Code: Kind] = [:]

    var isEmpty: Bool { kinds.isEmpty }

    /// Takes one refused line.
    ///
    /// - Returns: whether it is told in full, and how many before it were only counted.
    mutating func add(_ code: MalformedInput.Code, at now: ContinuousClock.Instant) -> (isTold: Bool, counted: Int) {
        var kind = kinds[code] ?? Kind(start: now)
        defer { kinds[code] = kind }
        if kind.told < RefusalLog.toldInFull {
            kind.told += 1
            return (true, 0)
        }
        if now - kind.start < RefusalLog.window {
            kind.counted += 1
            return (false, 0)
        }
        let counted = kind.counted
        kind = Kind(start: now, told: 1)
        return (true, counted)
    }

    /// How many were counted and not told yet.
    var untold: [(code: MalformedInput.Code, counted: Int)] {
        kinds.filter { $0.value.counted > 0 }
            .map { ($0.key, $0.value.counted) }
            .sorted { $0.code.rawValue < $1.code.rawValue }
    }
}

extension Runtime {
    /// Notes that a line was refused: in the log, and for the exit status.
    package func note(_ refused: Refused) {
        let code = refused.fault.code
        let (isTold, counted) = refusals.withLock { $0.add(code, at: .now) }
        if counted > 0 { tell(code, counted) }
        guard isTold else { return }
        log.warning(
            "refused a line: \(refused.fault.reason)",
            metadata: [
                "code": "\(code.rawValue)", "size_bytes": "\(refused.sizeBytes)",
                "line": "\(String(decoding: refused.line.prefix(120), as: UTF8.self).printable)",
            ])
    }

    /// Tells of the refused lines that have only been counted.
    func tellRefusals() {
        for (code, counted) in refusals.withLock({ $0.untold }) { tell(code, counted) }
    }

    private func tell(_ code: MalformedInput.Code, _ counted: Int) {
        log.warning("refused \(counted) more lines", metadata: ["code": "\(code.rawValue)", "count": "\(counted)"])
    }
}
