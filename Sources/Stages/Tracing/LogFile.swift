import Glibc
import JSON
import Logging
import System

/// Appends this process's log lines and spans to a file of its own in a folder, from which `ev-log run` takes them.
///
/// A thread of its own writes them in batches, so that no work waits for the disk. It wakes when it has something to write, which is a
/// while after the line came: a thread that wakes while an event is in work delays that. What cannot be written is lost, and counted.
package final class LogFile: Sendable {
    /// Limits what a process keeps where nobody takes it.
    package struct Limits: Sendable {
        /// The bytes that may wait for the thread.
        package var bufferBytes = 1 << 20
        /// The bytes of one file, after which the next one begins.
        package var fileBytes = 64 << 20
        /// The most files of one process that may exist at a time.
        package var files = 4

        package init() {}
    }

    private struct State {
        var buffer: [UInt8] = []
        var lines = 0
        /// The lines for which there was no room since the last report.
        var lost = 0
        var isClosed = false
        var hasEnded = false
        var time = TimeText()
    }

    private static let pause = Duration.milliseconds(20)
    private let state = Monitor(State())
    private let alarm = Alarm()
    private let limits: Limits
    private let wakeBytes: Int

    /// Starts the thread; the file is made when there is something to write.
    ///
    /// - Parameters:
    ///   - folder: is made if it does not exist, readable by its owner only.
    ///   - onTrouble: is told once, on the thread, when lines begin to be lost; it must not log to this file.
    package init(
        folder: String, tool: String, limits: Limits = Limits(),
        onTrouble: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.limits = limits
        wakeBytes = limits.bufferBytes / 4
        let output = OwnLogFile(folder: folder, tool: tool, limits: limits, onTrouble: onTrouble)
        BlockingThread.start { [self] in run(output) }
    }

    /// Adds one line, which `body` appends with its line feed. Never waits for the disk.
    ///
    /// - Parameter isUrgent: writes it at once.
    package func add(isUrgent: Bool = false, _ body: (inout [UInt8], inout TimeText) -> Void) {
        let limit = limits.bufferBytes
        state.read { [wakeBytes, alarm] state in
            guard state.buffer.count < limit, !state.isClosed else { return state.lost += 1 }
            let before = state.buffer.count
            body(&state.buffer, &state.time)
            state.lines += 1
            // The alarm is set while the state is held, so that a later time never takes the place of an earlier one.
            if isUrgent || (before < wakeBytes && state.buffer.count >= wakeBytes) {
                alarm.set(after: .zero)
            } else if before == 0 {
                alarm.set(after: LogFile.pause)
            }
        }
    }

    /// Writes what is waiting, for at most two seconds, and ends.
    package func close() {
        state.read { [alarm] state in
            state.isClosed = true
            alarm.set(after: .zero)
        }
        _ = state.wait(atMost: .seconds(2)) { $0.hasEnded ? true : nil }
    }

    private func run(_ output: OwnLogFile) {
        var spare: [UInt8] = []
        var isClosed = false
        while !isClosed {
            // While lines are lost, the thread looks for room now and then, so that the loss is reported.
            alarm.wait(atMost: output.hasLost ? .seconds(1) : nil)
            let batch = state.read { [spare] state -> (lines: Int, lost: Int, bytes: [UInt8], isClosed: Bool) in
                let batch = (state.lines, state.lost, state.buffer, state.isClosed)
                (state.lines, state.lost, state.buffer) = (0, 0, spare)
                return batch
            }
            output.append(batch.bytes, lines: batch.lines, lost: batch.lost)
            spare = []
            spare.reserveCapacity(min(batch.bytes.count, limits.bufferBytes))
            isClosed = batch.isClosed
        }
        output.close()
        state.update { $0.hasEnded = true }
    }
}

/// The files of one process, one after another. Only one thread may use it.
private final class OwnLogFile: @unchecked Sendable {
    private let folder: String
    private let tool: String
    private let limits: LogFile.Limits
    private let onTrouble: @Sendable (String) -> Void
    private let stem: String
    private var part = 0
    private var descriptor: Int32 = -1
    private var size = 0
    private var lost = 0
    private var isInTrouble = false

    init(folder: String, tool: String, limits: LogFile.Limits, onTrouble: @escaping @Sendable (String) -> Void) {
        (self.folder, self.tool, self.limits, self.onTrouble) = (folder, tool, limits, onTrouble)
        stem = "\(tool)-\(getpid())-\(SystemClocks.realtimeNanoseconds / 1000)"
    }

    var hasLost: Bool { lost > 0 }

    /// Appends whole lines.
    ///
    /// - Parameter added: the number of lines that were lost before they came here.
    func append(_ bytes: [UInt8], lines: Int, lost added: Int) {
        lost += added
        guard !bytes.isEmpty || lost > 0 else { return }
        var batch = bytes
        let report = lost > 0 ? self.report : []
        batch += report
        if let reason = write(batch) {
            lost += lines
            trouble(reason)
        } else if !report.isEmpty {
            (lost, isInTrouble) = (0, false)
        }
    }

    private var report: [UInt8] {
        let record = LogRecord(
            level: .warning, message: "lines of the log were lost, because there was no room for them", tool: tool,
            correlationID: nil, metadata: ["lost": .stringConvertible(lost)])
        return JSON.object(record.json).bytes + [UInt8(ascii: "\n")]
    }

    private func trouble(_ reason: String) {
        guard !isInTrouble else { return }
        isInTrouble = true
        onTrouble("unable to write the log to \(folder): \(reason); lines are lost until there is room")
    }

    /// Writes all of the lines or none.
    ///
    /// - Returns: nil, or the reason why they were not written.
    private func write(_ bytes: [UInt8]) -> String? {
        var info = stat()
        // Someone may have removed the file, or all of it has been stored after a mistake about this process's end.
        if descriptor >= 0, fstat(descriptor, &info) != 0 || info.st_nlink == 0 { close() }
        if descriptor >= 0, size + bytes.count > limits.fileBytes, size > 0 { close() }
        if descriptor < 0, let reason = open() { return reason }
        let failure = bytes.withUnsafeBytes { writeAll(descriptor, $0) }
        guard failure != 0 else {
            size += bytes.count
            return nil
        }
        // What was written in part would be a torn line, and would be stored twice if it were written again.
        ftruncate(descriptor, off_t(size))
        if failure == EFBIG { close() }
        return String(cString: strerror(failure))
    }

    /// Makes the next file. It gets its name when it is locked, so that ev-log never takes it for one whose process has ended.
    private func open() -> String? {
        let made = makeFolders(folder, mode: 0o700)
        guard made.error == 0 else { return String(cString: strerror(made.error)) }
        let own = (folderEntries(folder) ?? []).count { $0.hasPrefix("\(stem)-") }
        guard own < limits.files else {
            return "\(own) files of this process wait for 'ev-log run', which takes them"
        }
        let hidden = "\(folder)/.\(stem)-\(part)"
        let opened = Glibc.open(hidden, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard opened >= 0 else { return String(cString: strerror(errno)) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0, rename(hidden, "\(folder)/\(stem)-\(part).ndjson") == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(hidden)
            Glibc.close(opened)
            return reason
        }
        part += 1
        (descriptor, size) = (opened, 0)
        return nil
    }

    func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }
}

/// Writes times of RFC 3339 with six decimals, and keeps the text of the last second.
package struct TimeText {
    private var second = Int64.min
    private var text: [UInt8] = []

    package init() {}

    /// Appends a time in microseconds since 1970.
    package mutating func write(_ microseconds: Int64, to output: inout [UInt8]) {
        let time = max(0, microseconds)
        if time / 1_000_000 != second {
            second = time / 1_000_000
            text = Array(Timestamp(microseconds: second * 1_000_000).description.utf8.dropLast(8))
        }
        output += text
        var rest = UInt32(truncatingIfNeeded: time % 1_000_000)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 8) { digits in
            digits[0] = UInt8(ascii: ".")
            for place in stride(from: 6, to: 0, by: -1) {
                digits[place] = UInt8(0x30 + rest % 10)
                rest /= 10
            }
            digits[7] = UInt8(ascii: "Z")
            output.append(contentsOf: digits)
        }
    }
}

/// Adds the records of a tool's log to its file.
package struct FileLogSink: LogSink {
    private let file: LogFile

    package init(_ file: LogFile) { self.file = file }

    package func write(_ record: LogRecord) {
        var object = record.json
        if let span = record.span, object["span_id"] == nil { object["span_id"] = .string(SpanLog.text(span)) }
        let line = JSON.object(object).bytes
        file.add(isUrgent: record.level >= .error) { buffer, _ in
            buffer += line
            buffer.append(UInt8(ascii: "\n"))
        }
    }
}
