import Glibc
import JSON
import Stage
import System

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
