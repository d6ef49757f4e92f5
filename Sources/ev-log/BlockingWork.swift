import Glibc
import JSON
import Stage
import System

/// Carries any failure out of a thread.
private struct WorkFailure: Error {
    let error: any Error

    static func wrapping<Value>(_ body: () throws -> Value) throws(WorkFailure) -> Value {
        do { return try body() } catch { throw WorkFailure(error: error) }
    }
}

extension BlockingThread {
    /// Runs `body`, which reads or writes a log store, on a thread that lasts for this call only.
    static func working<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        do {
            return try await once { () throws(WorkFailure) in try WorkFailure.wrapping(body) }
        } catch { throw error.error }
    }
}

/// Collects lines for standard output, and writes them in large pieces, on a thread that may block.
final class OutputBuffer {
    private let output: LineOutput
    private var bytes: [UInt8] = []
    private static let pieceBytes = 64 << 10

    init() throws { output = try LineOutput(endpoint: "-") }

    func add(_ line: [UInt8]) throws {
        bytes += line
        bytes.append(UInt8(ascii: "\n"))
        if bytes.count >= OutputBuffer.pieceBytes { try flush() }
    }

    func flush() throws {
        guard !bytes.isEmpty else { return }
        defer { bytes.removeAll(keepingCapacity: true) }
        try bytes.withUnsafeBytes { try output.write($0) }
    }
}

/// Waits on a thread that may block.
func pause(_ duration: Duration) { usleep(useconds_t(clamping: duration.milliseconds * 1000)) }

/// Closes a file.
func closeDescriptor(_ descriptor: Int32) { close(descriptor) }
