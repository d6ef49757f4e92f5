import Glibc
import JSON
import Stage
import System

/// Appends events to a recording and their times to the file beside it. Several processes may record into one file. It blocks.
final class RecordingFile {
    private let events: LineOutput
    private let times: LineOutput
    private let lock: Int32
    private let edge: String?
    /// The difference between the clock of the day and that of the machine at the start: the clock of the day may be set while the
    /// recorder runs.
    private let epochNanoseconds = SystemClocks.realtimeNanoseconds - SystemClocks.monotonicNanoseconds

    /// - Throws: `ToolError` (64, 74).
    init(path: String, edge: String?) throws(ToolError) {
        guard path != "-" else { throw ToolError(.usage, "a recording is a file, not standard output") }
        let timesPath = Recording.timesPath(of: path)
        let opened = open(timesPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw ToolError.localIO("unable to open \(timesPath.printable)") }
        flock(opened, LOCK_EX)
        do throws(ToolError) {
            guard RecordingFile.mayBeFile(path), Recording.isFile(timesPath) else {
                throw ToolError(.usage, "a recording is a file, and \(path.printable) is none")
            }
            events = try LineOutput(endpoint: path)
            times = try LineOutput(endpoint: timesPath)
        } catch {
            close(opened)
            throw error
        }
        flock(opened, LOCK_UN)
        lock = opened
        self.edge = edge
    }

    /// Returns whether a path leads to a file, or to nothing, so that a file can be made there.
    private static func mayBeFile(_ path: String) -> Bool { access(path, F_OK) != 0 || Recording.isFile(path) }

    deinit { close(lock) }

    /// The present time, which is never before that of an earlier call.
    var now: Timestamp {
        Timestamp(microseconds: (epochNanoseconds + SystemClocks.monotonicNanoseconds) / 1000)
    }

    /// Appends lines, which have no line feeds, with the time at which they came.
    func append(_ lines: [[UInt8]], at time: Timestamp) throws(ToolError) {
        var (bytes, notes): ([UInt8], [UInt8]) = ([], [])
        for line in lines {
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
            let sum = line.withUnsafeBytes { Checksum.of($0) }
            RecordedTime(at: time, edge: edge, checksum: sum).write(to: &notes)
        }
        // The lines of the two files have the same order, also when other processes record into them.
        flock(lock, LOCK_EX)
        defer { flock(lock, LOCK_UN) }
        try bytes.withUnsafeBufferPointer { (bytes) throws(ToolError) in try events.write(UnsafeRawBufferPointer(bytes))
        }
        try notes.withUnsafeBufferPointer { (notes) throws(ToolError) in try times.write(UnsafeRawBufferPointer(notes))
        }
    }
}
