import Glibc
import Logging
import Process
import Spool
import System

/// A command behind a spool. One that ends too early is started again, and gets what it had left in its pipe once more, from the
/// beginning of a line.
final class CommandOutlet: SpoolOutlet {
    private let process: CommandProcess
    private var room: PipeRoom
    private var sentBytes = 0

    init(_ process: CommandProcess) throws(ToolError) {
        self.process = process
        try process.start()
        room = PipeRoom(pipe: process.pipe)
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
            throw ToolError(.unavailable, "\(process.name) failed at its end (\(ending))")
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
        room = PipeRoom(pipe: process.pipe)
    }

    func giveUp() { process.giveUp() }
}
