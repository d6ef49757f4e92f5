import Process
import System
import Glibc
import Logging
import Synchronization

/// A command's standard input (`exec:COMMAND`).
///
/// A command that ends with events still to come is started again, and gets those that it left in its pipe once more, from
/// the beginning of a line: what it had read is lost with it, nothing else. Only the counts, `unreadBytes` and `giveUp` may be
/// called from other threads than the output's own.
final class CommandSink: Sink, @unchecked Sendable {
    private let process: CommandProcess
    private let bytes = Atomic(0)
    private let events = Atomic(0)
    private var sent: SentLines
    /// What must be written before anything else: left over by a process that ended.
    private var leftOver: ArraySlice<UInt8> = []

    /// Starts the command.
    init(command: String, retry: RetryPolicy, log: Logger) throws(ToolError) {
        process = CommandProcess(command: command, retry: retry, log: log)
        sent = SentLines(pipeBytes: try process.start())
    }

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { process.unreadBytes }

    func giveUp() { process.giveUp() }

    func write(_ parcel: Parcel) throws(ToolError) {
        for piece in parcel.places.pieces {
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

    /// False: the process has ended, or takes no more.
    private func writeLeftOver() -> Bool {
        guard !leftOver.isEmpty else { return true }
        let rest = leftOver
        leftOver.removeFirst(rest.withUnsafeBytes { push($0) })
        return leftOver.isEmpty
    }

    /// Writes until all is in the pipe or its reader is gone; how many bytes.
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
                    throw ToolError(.unavailable, "\(process.name) failed at its end (\(ending))")
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
        sent = SentLines(pipeBytes: try process.restart(hasTakenLine: hasTakenLine))
    }
}
