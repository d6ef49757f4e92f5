import System
import Accounts
import Glibc
import Stage
import Synchronization

/// Asks people on the terminal, or reads the answers from standard input where that is none. Secrets are not shown.
final class Questions: Sendable {
    private static let patience = Duration.seconds(600)
    private static let longestAnswer = 4096

    private let shutdown: Shutdown
    private let thread = BlockingThread()
    private let unread = Mutex<[UInt8]>([])
    /// nil: there is nobody to be asked.
    private let terminal: Int32?

    init(_ shutdown: Shutdown) {
        self.shutdown = shutdown
        let descriptor = isatty(STDIN_FILENO) == 1 ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1
        terminal = descriptor >= 0 ? descriptor : nil
    }

    deinit { if let terminal { close(terminal) } }

    /// One line, without its end.
    ///
    /// - Parameter what: names it in errors.
    /// - Throws: `AccountError`, `loginRefused`, when there is none; `timedOut`.
    func ask(_ question: String, _ what: String, isShown: Bool) async throws -> String {
        try await thread.run { [self] in
            guard let terminal else { return try line(from: STDIN_FILENO, what) }
            write(question, to: terminal)
            var before = termios()
            guard !isShown, tcgetattr(terminal, &before) == 0 else { return try line(from: terminal, what) }
            var silent = before
            silent.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(terminal, TCSAFLUSH, &silent)
            defer {
                tcsetattr(terminal, TCSAFLUSH, &before)
                write("\n", to: terminal)
            }
            return try line(from: terminal, what)
        }
    }

    /// A line for people.
    func tell(_ line: String) async { await thread.run { [self] in show("\(line)\n") } }

    func show(_ text: String) { write(text, to: terminal ?? STDERR_FILENO) }

    /// What a file holds, once it is there: others may bring a code that way.
    func contents(of path: String, _ what: String) async throws -> String {
        let end = ContinuousClock.now + Questions.patience
        while access(path, R_OK) != 0, errno == ENOENT, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(200))
        }
        // Who has just made it may not have written to it yet.
        for _ in 0..<10 {
            let text = try await thread.run { [self] in try firstLine(of: path, what, until: end) }
            if !text.isEmpty { return text }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw ToolError(.configuration, "\(path) holds no \(what)")
    }

    private func firstLine(of path: String, _ what: String, until end: ContinuousClock.Instant) throws -> String {
        // A named pipe that nobody writes to yet must not hold up the end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw ToolError(
                .configuration, "unable to read the \(what) from \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        try wait(for: descriptor, until: end, what)
        var bytes = [UInt8](repeating: 0, count: Questions.longestAnswer)
        let count = read(descriptor, &bytes, bytes.count)
        let line = bytes.prefix(max(0, count)).prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        return String(decoding: line, as: UTF8.self)
    }

    private func line(from descriptor: Int32, _ what: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 1024)
        let end = ContinuousClock.now + Questions.patience
        while true {
            if let line = unread.withLock({ Questions.cut(&$0) }) { return line }
            try wait(for: descriptor, until: end, what)
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count == 0, let rest = unread.withLock({ Questions.takeAll(&$0) }) { return rest }
            guard count > 0, unread.withLock({ $0.count }) < Questions.longestAnswer else {
                throw AccountError(.loginRefused, "no \(what) is given: it is a line of standard input, or in a file")
            }
            unread.withLock { $0 += buffer.prefix(count) }
        }
    }

    private static func cut(_ bytes: inout [UInt8]) -> String? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { bytes.removeFirst(end + 1) }
        let line = bytes[..<end]
        return String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
    }

    /// The last line, when its end is missing.
    private static func takeAll(_ bytes: inout [UInt8]) -> String? {
        guard !bytes.isEmpty else { return nil }
        defer { bytes = [] }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func wait(for descriptor: Int32, until end: ContinuousClock.Instant, _ what: String) throws {
        var watched = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let left = (end - .now).components.seconds
            guard left > 0 else { throw AccountError(.timedOut, "nobody has given a \(what)") }
            let count = poll(&watched, 2, Int32(left) * 1000)
            if watched[1].revents != 0 { throw CancellationError() }
            if count > 0 { return }
        }
    }

    private func write(_ text: String, to descriptor: Int32) {
        _ = Array(text.utf8).withUnsafeBytes { writeAll(descriptor, $0) }
    }
}
