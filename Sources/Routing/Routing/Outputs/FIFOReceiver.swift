import Glibc
import JSON
import Spool
import System

/// Writes lines of a spool to a FIFO whose reader may be slow, absent, or come again: only while there is a reader.
///
/// Only the end for writing is kept open, so that the FIFO shows whether it has a reader. If this process ends while there is none, the
/// contents of the FIFO are gone: the reader of the spool records their size (`hold`), and the next process sends them again.
final class FIFOReceiver: SpoolReceiver {
    private let name: String
    private let descriptor: Int32
    private var room: PipeCapacity
    /// Is true if only a part of the last line is in the FIFO.
    private var isInLine = false
    private var pause: UInt32 = FIFOReceiver.shortestPause

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
        room = PipeCapacity(pipe: descriptor)
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
            usleep(FIFOReceiver.longestPause)
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
            pause = min(pause * 2, FIFOReceiver.longestPause)
            return false
        }
        isInLine = !stretch.ends.contains(count)
        if !isInLine { flock(descriptor, LOCK_UN) }
        pause = FIFOReceiver.shortestPause
        room.add(count, from: stretch.offset)
        reader.forget(keeping: unreadBytes)
        return true
    }

    /// Locks the FIFO against other stages that write into it (`LineOutput` does the same), also while a part of a long line is in it.
    private func lock() -> Bool { isInLine || flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func finish(_ reader: SpoolReader) -> Bool {
        settle(reader)
        return unreadBytes == 0
    }
}

/// Calculates how much a pipe can still take, in pages: `splice` uses one page of the pipe for each page of the file that it takes
/// from, and at least one for each call.
///
/// With it, only whole lines go into a pipe as long as they fit, so that a killed process leaves no incomplete line there.
struct PipeCapacity {
    private static let pageBytes: Int64 = 4096

    private let pages: Int
    /// The number of bytes that went in, and for each page in use the number at its end.
    private var sentBytes = 0
    private var ends: [Int] = []
    private var first = 0

    init(pipe: Int32) { pages = PipeCalls.pages(pipe) }

    /// Returns the number of bytes from the beginning of a stretch that can go in together: whole lines, or a part of a line that is
    /// longer than the pipe.
    mutating func fitting(_ stretch: Stretch, unread: Int) -> Int {
        let taken = sentBytes - unread
        while first < ends.count, ends[first] <= taken { first += 1 }
        if first > 1024 {
            ends.removeFirst(first)
            first = 0
        }
        let free = pages - (ends.count - first)
        let inPage = stretch.offset % PipeCapacity.pageBytes
        let room = Int64(free) * PipeCapacity.pageBytes - inPage
        guard free > 0, room > 0 else { return 0 }
        // The lines' ends are in order.
        var (low, high) = (0, stretch.ends.count)
        while low < high {
            let middle = (low + high) / 2
            if Int64(stretch.ends[middle]) <= room { low = middle + 1 } else { high = middle }
        }
        if low > 0 { return stretch.ends[low - 1] }
        let longest = Int64(pages) * PipeCapacity.pageBytes - inPage
        return Int64(stretch.ends.first ?? 0) > longest ? Int(room) : 0
    }

    /// Records that bytes went in.
    ///
    /// - Parameter offset: their offset in the file that they come from.
    mutating func add(_ count: Int, from offset: Int64) {
        var end = (offset / PipeCapacity.pageBytes + 1) * PipeCapacity.pageBytes
        while end < offset + Int64(count) {
            ends.append(sentBytes + Int(end - offset))
            end += PipeCapacity.pageBytes
        }
        sentBytes += count
        ends.append(sentBytes)
    }
}
