package import Glibc
import JSON
import Synchronization
package import System

/// Writes whole lines on the caller's own thread to standard output, a file (appended to) or a FIFO. Several threads may write.
///
/// A write returns when the kernel has all of it. On pipes and FIFOs it holds an advisory lock: several stages may write into one
/// FIFO without mixing lines, also those longer than the 4,096 bytes that the kernel writes to a pipe in one piece.
package final class LineOutput: Sendable {
    /// Selects whether an output depends on the readers of its FIFO.
    package enum Readers: Sendable {
        /// The output opens once there is a reader, and fails when the last one has gone.
        case needed
        /// Readers may come and go. While the output is open, the FIFO keeps its contents for the next reader.
        case mayComeAndGo
    }

    /// The time after which a FIFO from which nothing is read counts as stalled.
    static let stallLimit = Duration.seconds(5)

    package let name: String
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private let isPipe: Bool
    private let keepsFIFO: Bool
    private let onStall: @Sendable () -> Void
    /// Is held while lines are written. The lock on a pipe does not hold off other threads of this process.
    private let turn = Mutex(())
    /// The most bytes that the kernel writes to a pipe in one piece, or not at all (`PIPE_BUF`).
    private static let unbrokenBytes = 4096
    /// Becomes false when the kernel says that it cannot write to this pipe without waiting.
    private let writesAtOnce = Atomic(true)

    /// - Parameters:
    ///   - endpoint: `-` or a path. A missing file is created, readable by its user only, because events hold messages of
    ///     people; a torn last line is ended first.
    ///   - onStall: called once each time that a FIFO whose readers may come and go has stalled for 5 seconds.
    package convenience init(
        endpoint: String, readers: Readers = .needed, onStall: @escaping @Sendable () -> Void = {}
    ) throws(ToolError) {
        let isPath = endpoint != "-"
        let keepsFIFO = readers == .mayComeAndGo && LineOutput.isNamedFIFO(endpoint)
        self.init(
            name: isPath ? endpoint : "standard output",
            isPath ? try LineOutput.open(endpoint, keepsFIFO: keepsFIFO) : STDOUT_FILENO,
            ownsDescriptor: isPath, keepsFIFO: keepsFIFO, onStall: onStall)
        if isPath { try endTornLine() }
    }

    init(
        name: String, _ descriptor: Int32, ownsDescriptor: Bool = false, keepsFIFO: Bool = false,
        onStall: @escaping @Sendable () -> Void = {}
    ) {
        (self.name, self.descriptor, self.ownsDescriptor) = (name, descriptor, ownsDescriptor)
        (self.keepsFIFO, self.onStall) = (keepsFIFO, onStall)
        var status = stat()
        isPipe = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    }

    deinit { if ownsDescriptor { close(descriptor) } }

    /// Returns whether a path leads to a FIFO with a name, to which readers can come back. With an unnamed pipe, the end of the reader
    /// must stay an error.
    package static func isNamedFIFO(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO && !PipeCalls.isUnnamed(path)
    }

    private static func open(_ path: String, keepsFIFO: Bool) throws(ToolError) -> Int32 {
        // While this process holds the reading end too, the FIFO keeps its contents and never breaks.
        let flags = keepsFIFO ? O_RDWR | O_NONBLOCK : O_WRONLY | O_CREAT | O_APPEND
        let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ToolError.localIO("unable to open \(path)") }
        // Best effort: the kernel limits pipe sizes by user, and a smaller FIFO only fills earlier.
        if keepsFIFO { PipeCalls.resize(descriptor, bytes: 1 << 20) }
        return descriptor
    }

    /// Ends the torn last line of a file, which the next line would continue: a killed writer or a full disk may have left it.
    private func endTornLine() throws(ToolError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else { return }
        // A file without read permission is not checked.
        let reading = Glibc.open(name, O_RDONLY | O_CLOEXEC)
        guard reading >= 0 else { return }
        defer { close(reading) }
        var last: UInt8 = 0
        guard pread(reading, &last, 1, status.st_size - 1) == 1, last != UInt8(ascii: "\n") else { return }
        guard Glibc.write(descriptor, "\n", 1) == 1 else { throw ToolError.localIO("unable to write to \(name)") }
    }

    /// Writes whole lines, line feeds included.
    package func write(_ lines: UnsafeRawBufferPointer) throws(ToolError) {
        let piece = iovec(iov_base: UnsafeMutableRawPointer(mutating: lines.baseAddress), iov_len: lines.count)
        try withUnsafePointer(to: piece) { piece throws(ToolError) in
            try write(UnsafeBufferPointer(start: piece, count: 1))
        }
    }

    /// Writes whole lines, line feeds included, without copying them.
    ///
    /// - Parameter accepted: receives the number of bytes that the kernel took, after each system call.
    package func write(
        _ pieces: UnsafeBufferPointer<iovec>, accepted: (Int) -> Void = { _ in }
    ) throws(ToolError) {
        try turn.withLock { _ throws(ToolError) in
            if isPipe { flock(descriptor, LOCK_EX) }
            defer { if isPipe { flock(descriptor, LOCK_UN) } }
            try writeAll(pieces, accepted)
        }
    }

    /// Writes whole lines if that needs no waiting: a few, to a pipe that has room for them and into which nobody else is writing. The kernel
    /// can do so from Linux 6.4 on, and not for a pipe that was opened by a path, such as a FIFO.
    ///
    /// - Returns: false, with nothing written, in all other cases, also after a failure, which `write` reports.
    package func writeWithoutWaiting(_ lines: UnsafeRawBufferPointer) -> Bool {
        guard isPipe, lines.count <= LineOutput.unbrokenBytes, writesAtOnce.load(ordering: .relaxed) else {
            return false
        }
        return turn.withLockIfAvailable { _ in
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
            defer { flock(descriptor, LOCK_UN) }
            let count = Linux.writeWithoutWaiting(descriptor, lines)
            if count < 0, errno == EOPNOTSUPP { writesAtOnce.store(false, ordering: .relaxed) }
            return count == lines.count
        } ?? false
    }

    private func writeAll(_ pieces: UnsafeBufferPointer<iovec>, _ accepted: (Int) -> Void) throws(ToolError) {
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
        if poll(&set, 1, Int32(LineOutput.stallLimit.milliseconds)) == 0 {
            onStall()
            poll(&set, 1, -1)
        }
    }

    private func failure(_ number: Int32) -> ToolError {
        number == EPIPE
            ? ToolError(endOfReaderOf: name)
            : ToolError.localIO("unable to write to \(name)", errno: number)
    }

    /// Ends the writing: reports errors that a network file system held back, and waits until the contents of a FIFO whose readers
    /// may come and go have been read.
    package func finish() throws(ToolError) {
        let duplicate = dup(descriptor)
        guard duplicate < 0 || close(duplicate) == 0 else { throw failure(errno) }
        waitUntilTaken()
    }

    private func waitUntilTaken() {
        var left = unreadBytes
        // Other writers may keep the FIFO from ever being empty, but a FIFO's oldest bytes are read first.
        var untaken = left
        var stalledSince = ContinuousClock.now
        var hasReported = false
        // These are the pauses between polls, not the backoff of a retry.
        var pause: UInt32 = 500
        while left > 0, untaken > 0 {
            usleep(pause)
            pause = min(pause * 2, 20_000)
            let now = unreadBytes
            if now < left {
                untaken -= left - now
                (stalledSince, hasReported) = (.now, false)
            } else if !hasReported, ContinuousClock.now - stalledSince > LineOutput.stallLimit {
                hasReported = true
                onStall()
            }
            left = now
        }
    }

    /// The number of unread bytes in a FIFO whose readers may come and go, which are lost if this output ends; 0 for other outputs.
    package var unreadBytes: Int { keepsFIFO ? PipeCalls.unreadBytes(descriptor) : 0 }
}

/// Writes pieces of memory one after another, and keeps the position that the writing has reached.
package struct Pieces {
    private let pieces: UnsafeBufferPointer<iovec>
    private var index = 0
    /// The number of bytes written of the piece at `index`.
    private var written = 0

    package init(_ pieces: UnsafeBufferPointer<iovec>) { self.pieces = pieces }

    package var isEmpty: Bool { index == pieces.count }

    /// Writes as many bytes as one system call takes.
    ///
    /// - Returns: the number of bytes written, or -1 with `errno`.
    package func write(to descriptor: Int32) -> Int {
        let piece = pieces[index]
        if written > 0 { return Glibc.write(descriptor, piece.iov_base + written, piece.iov_len - written) }
        return writev(descriptor, pieces.baseAddress.map { $0 + index }, Int32(min(pieces.count - index, 1024)))
    }

    /// Advances the position by `count` bytes.
    package mutating func drop(_ count: Int) {
        var count = count
        while index < pieces.count, count >= pieces[index].iov_len - written {
            count -= pieces[index].iov_len - written
            (index, written) = (index + 1, 0)
        }
        written += count
    }
}
