package import Options
import System
package import Envelope
import Glibc
package import Queue

/// Where whole lines go, for tasks: standard output, a file (appended to), a FIFO, or a queue.
///
/// A write returns when the kernel, or the queue, has all of it; `LineOutput` says more.
package final class EventOutput: Sendable {
    private enum Kind {
        case lines(BlockingThread, LineOutput)
        case queue(QueueSink)
    }

    private let kind: Kind

    /// - Throws: `ToolError` (74), what is wrong with a queue, and `CancellationError` when the shutdown ended a wait.
    package init(_ options: OutputOptions, runtime: Runtime) async throws {
        if let queue = try QueueName(endpoint: options.to) {
            kind = .queue(try await QueueSink([queue], maxLength: options.maxLength, runtime: runtime))
        } else {
            kind = try await EventOutput.lines(options.to, runtime.shutdown)
        }
    }

    /// - Parameters:
    ///   - endpoint: `-` or a path; a FIFO is opened when a reader is there.
    ///   - shutdown: ends the wait for that reader.
    /// - Throws: `ToolError` (74), and `CancellationError` when the wait was ended.
    package init(endpoint: String, shutdown: Shutdown) async throws {
        kind = try await EventOutput.lines(endpoint, shutdown)
    }

    private static func lines(_ endpoint: String, _ shutdown: Shutdown) async throws -> Kind {
        let thread = BlockingThread()
        let probe = try await EventOutput.waitForReader(of: endpoint, shutdown)
        defer { if let probe { close(probe) } }
        return .lines(thread, try await thread.run { try LineOutput(endpoint: endpoint) })
    }

    /// To block in `open` until a FIFO has a reader would not hear a signal.
    ///
    /// - Returns: a descriptor that keeps the next `open` from blocking; nil for what is no FIFO.
    private static func waitForReader(of path: String, _ shutdown: Shutdown) async throws -> Int32? {
        var status = stat()
        guard path != "-", stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return nil }
        while true {
            let descriptor = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            if descriptor >= 0 { return descriptor }
            guard errno == ENXIO || errno == EINTR else { throw ToolError.localIO("unable to open \(path)") }
            _ = try await shutdown.interrupting { try await Task.sleep(for: .milliseconds(20)) }
            guard !shutdown.isRequested else { throw CancellationError() }
        }
    }

    /// Writes whole lines, line feeds included.
    package func write(_ lines: [UInt8]) async throws {
        guard !lines.isEmpty else { return }
        switch kind {
        case .lines(let thread, let output): try await thread.run { try output.writeNow(lines) }
        case .queue(let sink): try await sink.publish(QueueLine.lines(of: lines))
        }
    }

    package func write(_ envelopes: [Envelope]) async throws {
        try await write(envelopes.flatMap(\.line))
    }

    /// Writes an envelope and at once, before anything else can happen, runs `note`: what it notes down and what was written part
    /// only when the process is killed between two system calls.
    package func write(_ envelope: Envelope, noting note: @escaping @Sendable () throws -> Void) async throws {
        let line = envelope.line
        switch kind {
        case .lines(let thread, let output):
            try await thread.run {
                try output.writeNow(line)
                try note()
            }
        case .queue(let sink):
            try await sink.publish(QueueLine.lines(of: line))
            try note()
        }
    }

    /// Publishes an envelope and sets a key of Redis in one step.
    ///
    /// - Returns: false when the output is no queue, and nothing was done.
    package func publish(_ envelope: Envelope, settingKey key: String, to value: String) async throws -> Bool {
        guard case .queue(let sink) = kind else { return false }
        try await sink.publish(QueueLine.lines(of: envelope.line), setting: [(key, value)])
        return true
    }

    /// Writes what came of entries together, whole lines, and acknowledges all of them: in one step when this is a queue, too.
    package func write(_ lines: [UInt8], finishing entries: [QueueEntry], of source: QueueSource) async throws {
        var results = Results()
        for (index, entry) in entries.enumerated() { results.add(entry) { if index == 0 { $0 = lines } } }
        try await write(results, from: source)
    }

    /// The queue, when it is one.
    package var sink: QueueSink? {
        if case .queue(let sink) = kind { sink } else { nil }
    }

    /// Writes what came of events, and acknowledges those of a queue: in one step when the output is a queue, too.
    func write(_ results: Results, from source: QueueSource?) async throws {
        switch (kind, source) {
        case (.lines, nil): try await write(results.bytes)
        case (.queue(let sink), nil): try await sink.publish(results.lines)
        case (.queue(let sink), let source?): try await source.finish(results.ofEntries, to: sink.outputs)
        case (.lines, let source?):
            // What another worker has by now is for that one to write.
            let entries = results.items.compactMap(\.entry)
            let owned = try await source.stillOwned(entries)
            try await write(owned.count == entries.count ? results.bytes : results.bytes(of: owned))
            try await source.finish(owned.map { QueueResult($0) })
        }
    }
}

extension LineOutput {
    fileprivate func writeNow(_ lines: [UInt8]) throws {
        try lines.withUnsafeBytes { try write($0) }
    }
}
