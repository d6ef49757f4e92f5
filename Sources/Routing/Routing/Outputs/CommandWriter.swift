import Glibc
import Logging
import Process
import Spool
import Synchronization
import System

/// Writes lines to a command's standard input (`exec:COMMAND`).
///
/// A command that ends with events still to come is started again, and receives those that it left in its pipe once more, from
/// the beginning of a line: only what it had read is lost with it. Only the counts, `unreadBytes` and `giveUp` may be
/// called from other threads than the output's own.
final class CommandWriter: OutputWriter, @unchecked Sendable {
    private let process: CommandProcess
    private let bytes = Atomic(0)
    private let events = Atomic(0)
    private var sent: ResendBuffer
    /// The lines that a process left in its pipe when it ended; they are written before all others.
    private var leftOver: ArraySlice<UInt8> = []

    /// Starts the command.
    init(command: String, retry: RetryPolicy, log: Logger) throws(ToolError) {
        process = CommandProcess(command: command, retry: retry, log: log)
        sent = ResendBuffer(pipeBytes: try process.start())
    }

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { process.unreadBytes }

    func giveUp() { process.giveUp() }

    func write(_ batch: LineBatch) throws(ToolError) {
        for piece in batch.slices.pieces {
            try write(UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len))
        }
    }

    private func write(_ lines: UnsafeRawBufferPointer) throws(ToolError) {
        var written = 0
        while written < lines.count {
            if writeLeftOver() { written += push(UnsafeRawBufferPointer(rebasing: lines[written...])) }
            if written < lines.count { try restart() }
        }
    }

    /// - Returns: false if the process has ended or takes no more.
    private func writeLeftOver() -> Bool {
        guard !leftOver.isEmpty else { return true }
        let rest = leftOver
        leftOver.removeFirst(rest.withUnsafeBytes { push($0) })
        return leftOver.isEmpty
    }

    /// Writes until everything is in the pipe or its reader is gone.
    ///
    /// - Returns: the number of bytes written.
    private func push(_ lines: UnsafeRawBufferPointer) -> Int {
        let pipe = process.pipe
        var written = 0
        while written < lines.count {
            let count = Glibc.write(pipe, lines.baseAddress.map { $0 + written }, lines.count - written)
            if count >= 0 {
                written += count
            } else if errno == EAGAIN {
                process.waitUntilWritable()
            } else if errno != EINTR {
                break
            }
        }
        let accepted = lines.prefix(written)
        sent.append(accepted)
        bytes.add(written, ordering: .relaxed)
        events.add(accepted.lineFeeds, ordering: .relaxed)
        return written
    }

    func finish() throws(ToolError) {
        while true {
            guard writeLeftOver() else {
                try restart()
                continue
            }
            let ending = process.finish()
            guard unreadBytes > 0 else {
                guard ending == .exited(0) else {
                    throw ToolError(.unavailable, "\(process.name) ended with a failure (\(ending))")
                }
                return
            }
            try restart()
        }
    }

    private func restart() throws(ToolError) {
        let unread = unreadBytes
        let (hasTakenLine, untaken) = (sent.hasTakenLine(unread: unread), sent.untaken(unread: unread))
        leftOver = untaken + leftOver
        bytes.add(-untaken.count, ordering: .relaxed)
        events.add(-untaken.lineFeeds, ordering: .relaxed)
        sent = ResendBuffer(pipeBytes: try process.restart(hasTakenLine: hasTakenLine))
    }
}

/// Writes lines of a spool to a command's standard input. A command that ends too early is started again, and receives what it left in
/// its pipe once more, from the beginning of a line.
final class CommandReceiver: SpoolReceiver {
    private let process: CommandProcess
    private var room: PipeCapacity
    private var sentBytes = 0

    init(_ process: CommandProcess) throws(ToolError) {
        self.process = process
        try process.start()
        room = PipeCapacity(pipe: process.pipe)
    }

    func settle(_ reader: SpoolReader) { reader.forget(keeping: process.unreadBytes) }

    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(ToolError) -> Bool {
        let fitting = room.fitting(stretch, unread: process.unreadBytes)
        let count = fitting > 0 ? reader.splice(stretch, into: process.pipe, fitting) : -1
        if count > 0 {
            sentBytes += count
            room.add(count, from: stretch.offset)
            settle(reader)
            return true
        }
        if hasEnded || (fitting > 0 && errno == EPIPE) { try restart(reader) } else { usleep(500) }
        return false
    }

    private var hasEnded: Bool {
        var set = pollfd(fd: process.pipe, events: 0, revents: 0)
        return poll(&set, 1, 0) > 0 && Int32(set.revents) & POLLERR != 0
    }

    func finish(_ reader: SpoolReader) throws(ToolError) -> Bool {
        let ending = process.finish()
        if process.unreadBytes > 0 {
            try restart(reader)
            return false
        }
        guard ending == .exited(0) else {
            throw ToolError(.unavailable, "\(process.name) ended with a failure (\(ending))")
        }
        return true
    }

    private func restart(_ reader: SpoolReader) throws(ToolError) {
        let back: Int
        do throws(SpoolError) {
            back = try reader.goBack(process.unreadBytes, toLineStart: true)
        } catch {
            throw error.stageError
        }
        try process.restart(hasTakenLine: sentBytes > back)
        sentBytes = 0
        room = PipeCapacity(pipe: process.pipe)
    }

    func giveUp() { process.giveUp() }
}

/// Keeps the last lines that were written into a pipe, as many as may still be unread there, so that they can be sent again after the
/// reader has died.
struct ResendBuffer {
    private let pipeBytes: Int
    /// The kept bytes; they begin with the beginning of a line.
    private var bytes: [UInt8] = []
    private var hasDropped = false

    /// - Parameter pipeBytes: the number of bytes that the pipe can hold.
    init(pipeBytes: Int) { self.pipeBytes = pipeBytes }

    mutating func append(_ written: some Collection<UInt8>) {
        bytes.append(contentsOf: written)
        guard bytes.count > 4 * pipeBytes else { return }
        let start = lineStart(at: bytes.count - pipeBytes)
        guard start > bytes.count / 2 else { return }
        bytes.removeFirst(start)
        hasDropped = true
    }

    /// Returns the lines that the reader has not taken completely if `unread` bytes are still in the pipe.
    func untaken(unread: Int) -> ArraySlice<UInt8> { bytes[lineStart(at: bytes.count - min(unread, bytes.count))...] }

    /// Returns whether the reader took a whole line.
    func hasTakenLine(unread: Int) -> Bool { hasDropped || untaken(unread: unread).startIndex > 0 }

    private func lineStart(at index: Int) -> Int {
        bytes[..<index].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    }
}
