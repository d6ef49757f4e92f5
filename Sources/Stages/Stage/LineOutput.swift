package import Glibc
import JSON
package import System

/// Where whole lines go, written on the caller's own thread: standard output, a file (appended to) or a FIFO.
///
/// A write returns when the kernel has all of it. On pipes and FIFOs it holds an advisory lock, so that several stages may
/// write into one FIFO without mixing lines longer than the 4,096 bytes that a pipe keeps together by itself.
package final class LineOutput: Sendable {
    /// What a FIFO's readers mean to its writer.
    package enum Readers: Sendable {
        /// The output opens when there is one, and is over when the last one goes away.
        case needed
        /// They may come and go: what is in the FIFO waits for the next one, for as long as the output is open.
        case mayComeAndGo
    }

    /// How long nothing may be taken from a FIFO before that is told.
    static let patience = Duration.seconds(5)

    package let name: String
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private let isPipe: Bool
    private let keepsFIFO: Bool
    private let onStall: @Sendable () -> Void

    /// - Parameters:
    ///   - endpoint: `-` or a path. A file is made when it is not there; when its last line is torn, it is ended first.
    ///   - onStall: called once each time that a FIFO whose readers may come and go has taken nothing for 5 seconds.
    package init(
        endpoint: String, readers: Readers = .needed, onStall: @escaping @Sendable () -> Void = {}
    ) throws(ToolError) {
        name = endpoint == "-" ? "standard output" : endpoint
        ownsDescriptor = endpoint != "-"
        keepsFIFO = readers == .mayComeAndGo && LineOutput.isNamedFIFO(endpoint)
        let opened = endpoint == "-" ? STDOUT_FILENO : try LineOutput.open(endpoint, keepsFIFO: keepsFIFO)
        descriptor = opened
        self.onStall = onStall
        var status = stat()
        let kind = fstat(opened, &status) == 0 ? status.st_mode & S_IFMT : 0
        isPipe = kind == S_IFIFO
        if kind == S_IFREG, ownsDescriptor { try LineOutput.endTornLine(endpoint, opened, size: status.st_size) }
    }

    deinit { if ownsDescriptor { close(descriptor) } }

    /// Whether a path leads to a FIFO that readers can come back to. Nobody can to a pipe without a name: there the end of the
    /// reader must stay an error.
    package static func isNamedFIFO(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO && !PipeCalls.isUnnamed(path)
    }

    private static func open(_ path: String, keepsFIFO: Bool) throws(ToolError) -> Int32 {
        // With an end for reading of its own, a FIFO keeps what is in it, and never breaks.
        let flags = keepsFIFO ? O_RDWR | O_NONBLOCK : O_WRONLY | O_CREAT | O_APPEND
        let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ToolError.localIO("unable to open \(path)") }
        // Best effort: users have a limit on it, and a smaller FIFO only fills earlier.
        if keepsFIFO { PipeCalls.resize(descriptor, bytes: 1 << 20) }
        return descriptor
    }

    /// A writer that was killed, or a disk that was full, may have left the beginning of a line, which the next would continue.
    private static func endTornLine(_ path: String, _ descriptor: Int32, size: off_t) throws(ToolError) {
        guard size > 0 else { return }
        // A file that may be written but not read is taken as it is.
        let reading = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard reading >= 0 else { return }
        defer { close(reading) }
        var last: UInt8 = 0
        guard pread(reading, &last, 1, size - 1) == 1, last != UInt8(ascii: "\n") else { return }
        guard Glibc.write(descriptor, "\n", 1) == 1 else { throw ToolError.localIO("unable to write to \(path)") }
    }

    /// Writes whole lines, line feeds included.
    package func write(_ lines: UnsafeRawBufferPointer) throws(ToolError) {
        let piece = iovec(iov_base: UnsafeMutableRawPointer(mutating: lines.baseAddress), iov_len: lines.count)
        try withUnsafePointer(to: piece) { piece throws(ToolError) in
            try write(UnsafeBufferPointer(start: piece, count: 1))
        }
    }

    /// Writes whole lines, line feeds included, from where they are in memory.
    ///
    /// - Parameter accepted: told how many bytes the kernel took, each time that it took some.
    package func write(
        _ pieces: UnsafeBufferPointer<iovec>, accepted: (Int) -> Void = { _ in }
    ) throws(ToolError) {
        if isPipe { flock(descriptor, LOCK_EX) }
        defer { if isPipe { flock(descriptor, LOCK_UN) } }
        var rest = Pieces(pieces)
        while !rest.isEmpty {
            let count = rest.write(to: descriptor)
            if count >= 0 {
                rest.drop(count)
                accepted(count)
            } else if errno == EAGAIN {
                waitUntilWritable()
            } else if errno != EINTR {
                throw failure(errno)
            }
        }
    }

    private func waitUntilWritable() {
        var set = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        if poll(&set, 1, Int32(LineOutput.patience.milliseconds)) == 0 {
            onStall()
            poll(&set, 1, -1)
        }
    }

    private func failure(_ number: Int32) -> ToolError {
        number == EPIPE
            ? ToolError(.localIO, "nobody reads \(name) any more")
            : ToolError.localIO("unable to write to \(name)", errno: number)
    }

    /// Ends the writing: what a network's file system held back fails now at the latest, and what is in a FIFO whose readers
    /// may come and go has been taken when this returns.
    package func finish() throws(ToolError) {
        let duplicate = dup(descriptor)
        guard duplicate < 0 || close(duplicate) == 0 else { throw failure(errno) }
        waitUntilTaken()
    }

    private func waitUntilTaken() {
        var left = unreadBytes
        // Other writers may keep the FIFO from ever being empty, but what comes out of it is what went in first.
        var untaken = left
        var stalledSince = ContinuousClock.now
        var hasTold = false
        var pause: UInt32 = 500
        while left > 0, untaken > 0 {
            usleep(pause)
            pause = min(pause * 2, 20_000)
            let now = unreadBytes
            if now < left {
                untaken -= left - now
                (stalledSince, hasTold) = (.now, false)
            } else if !hasTold, ContinuousClock.now - stalledSince > LineOutput.patience {
                hasTold = true
                onStall()
            }
            left = now
        }
    }

    /// What is in a FIFO whose readers may come and go: it is lost when this output ends first. 0 for everything else.
    package var unreadBytes: Int { keepsFIFO ? PipeCalls.unreadBytes(descriptor) : 0 }
}

/// Pieces of memory that are written one after another, and how far that has come.
package struct Pieces {
    private let pieces: UnsafeBufferPointer<iovec>
    private var index = 0
    /// What has been written of the piece at `index`.
    private var written = 0

    package init(_ pieces: UnsafeBufferPointer<iovec>) { self.pieces = pieces }

    package var isEmpty: Bool { index == pieces.count }

    /// Writes as many as one call takes; how many bytes, or -1 with `errno`.
    package func write(to descriptor: Int32) -> Int {
        let piece = pieces[index]
        if written > 0 { return Glibc.write(descriptor, piece.iov_base + written, piece.iov_len - written) }
        return writev(descriptor, pieces.baseAddress.map { $0 + index }, Int32(min(pieces.count - index, 1024)))
    }

    /// Goes on behind the next `count` bytes.
    package mutating func drop(_ count: Int) {
        var count = count
        while index < pieces.count, count >= pieces[index].iov_len - written {
            count -= pieces[index].iov_len - written
            (index, written) = (index + 1, 0)
        }
        written += count
    }
}
