import Glibc
import JSON
import Spool
import System

/// A FIFO whose reader may be slow, absent, or come again: lines go in when somebody is there.
///
/// Only the end for writing is kept open. So what is in the FIFO stays there for the next reader, and whether there is one can be
/// told. When this process ends while nobody reads, what is in the FIFO is gone with it: the reader of the spool knows how much
/// (`hold`), and the next process begins before that.
final class FIFOOutlet: SpoolOutlet {
    private let name: String
    private let descriptor: Int32
    private var room: PipeRoom
    /// The last line went in as far as there was room.
    private var isInLine = false
    private var pause: UInt32 = FIFOOutlet.shortestPause

    private static let shortestPause: UInt32 = 100
    private static let longestPause: UInt32 = 20_000

    init(path: String) throws(ToolError) {
        name = path.printable
        // A writer finds a FIFO open only while there is a reader.
        let both = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        defer { if both >= 0 { close(both) } }
        descriptor = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        guard both >= 0, descriptor >= 0 else {
            throw ToolError(.localIO, "unable to open \(name): \(String(cString: strerror(errno)))")
        }
        PipeCalls.resize(descriptor, bytes: 1 << 20)
        room = PipeRoom(pipe: descriptor)
    }

    deinit { close(descriptor) }

    func resume(_ reader: SpoolReader) throws(SpoolError) {
        if reader.heldBytes > 0, unreadBytes == 0 { try reader.goBack(reader.heldBytes, toLineStart: true) }
        settle(reader)
    }

    private var unreadBytes: Int { PipeCalls.unreadBytes(descriptor) }

    private var hasReader: Bool {
        var set = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&set, 1, 0) == 0 || Int32(set.revents) & POLLERR == 0
    }

    func settle(_ reader: SpoolReader) {
        let unread = unreadBytes
        reader.hold(hasReader ? 0 : unread)
        reader.forget(keeping: unread)
    }

    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(ToolError) -> Bool {
        guard hasReader else {
            settle(reader)
            usleep(FIFOOutlet.longestPause)
            return false
        }
        reader.hold(0)
        let fitting = lock() ? room.fitting(stretch, unread: unreadBytes) : 0
        let count = fitting > 0 ? reader.splice(stretch, into: descriptor, fitting) : -1
        guard count > 0 else {
            let errno = errno
            if !isInLine { flock(descriptor, LOCK_UN) }
            guard fitting == 0 || [EAGAIN, EINTR, EPIPE].contains(errno) else {
                throw ToolError(.localIO, "unable to write to \(name): \(String(cString: strerror(errno)))")
            }
            usleep(pause)
            pause = min(pause * 2, FIFOOutlet.longestPause)
            return false
        }
        isInLine = !stretch.ends.contains(count)
        if !isInLine { flock(descriptor, LOCK_UN) }
        pause = FIFOOutlet.shortestPause
        room.add(count, from: stretch.offset)
        reader.forget(keeping: unreadBytes)
        return true
    }

    /// Other stages may write into the same FIFO, as `LineOutput` does: nobody gets in between while a long line is half in it.
    private func lock() -> Bool { isInLine || flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func finish(_ reader: SpoolReader) -> Bool {
        settle(reader)
        return unreadBytes == 0
    }
}
