import System
import Accounts
import Glibc
import Synchronization

/// Asks the user on the terminal, without showing secrets, or reads the answers from standard input when that is not a
/// terminal.
final class Questions: Sendable {
    private static let timeout = Duration.seconds(600)
    private static let maxAnswerBytes = 4096

    private let stop: Int32
    private let input: Int32
    private let thread = BlockingThread()
    private let unread = Mutex<[UInt8]>([])
    /// nil when the input is not a terminal.
    private let terminal: Int32?

    /// - Parameters:
    ///   - stop: a descriptor that becomes readable when waiting must end.
    ///   - input: the descriptor of the answers.
    init(stop: Int32, input: Int32 = STDIN_FILENO) {
        (self.stop, self.input) = (stop, input)
        let descriptor = isatty(input) == 1 ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1
        terminal = descriptor >= 0 ? descriptor : nil
    }

    deinit { if let terminal { close(terminal) } }

    /// Asks a question, and returns the answer: one line, without its line end.
    ///
    /// - Parameter what: the name of the answer, for errors.
    /// - Throws: `AccountError`: `loginRefused` when there is no answer, `timedOut` after ten minutes; `CancellationError` when `stop`
    ///   becomes readable.
    func ask(_ question: String, _ what: String, isShown: Bool) async throws -> String {
        try await thread.run { [self] in
            guard let terminal else { return try line(from: input, what) }
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

    /// Shows a line of text.
    func showLine(_ line: String) async { await thread.run { [self] in show("\(line)\n") } }

    /// Shows text on the terminal, or on standard error without one.
    func show(_ text: String) { write(text, to: terminal ?? STDERR_FILENO) }

    /// Returns the first line of a file, and waits up to ten minutes for the file to appear: another program may deliver a code that way.
    ///
    /// - Throws: `ToolError`, `configuration`, when the file cannot be read or stays empty.
    func contents(of path: String, _ what: String) async throws -> String {
        let end = ContinuousClock.now + Questions.timeout
        while access(path, R_OK) != 0, errno == ENOENT, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(200))
        }
        // The program that created the file may not have written to it yet.
        for _ in 0..<10 {
            let text = try await thread.run { [self] in try firstLine(of: path, what, until: end) }
            if !text.isEmpty { return text }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw SecretFile.empty(path, what)
    }

    private func firstLine(of path: String, _ what: String, until end: ContinuousClock.Instant) throws -> String {
        // Opening a named pipe without a writer must not block.
        let descriptor = try SecretFile.open(path, what, flags: O_NONBLOCK)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        // The writer of a named pipe may write the line in pieces.
        while bytes.count < SecretFile.maxBytes, !bytes.contains(UInt8(ascii: "\n")) {
            try wait(for: descriptor, until: end, what)
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw SecretFile.unreadable(path, what, errno) }
            if count == 0 { break }
            bytes += buffer.prefix(count)
        }
        return SecretFile.firstLine(of: bytes)
    }

    private func line(from descriptor: Int32, _ what: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 1024)
        let end = ContinuousClock.now + Questions.timeout
        while true {
            if let line = unread.withLock({ Questions.cut(&$0) }) { return line }
            try wait(for: descriptor, until: end, what)
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count == 0, let rest = unread.withLock({ Questions.takeAll(&$0) }) { return rest }
            guard count > 0, unread.withLock({ $0.count }) < Questions.maxAnswerBytes else {
                throw AccountError(
                    .loginRefused, "no \(what) is given: write it as a line to standard input, or into a file")
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

    /// Takes the last line, which may lack its line end.
    private static func takeAll(_ bytes: inout [UInt8]) -> String? {
        guard !bytes.isEmpty else { return nil }
        defer { bytes = [] }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func wait(for descriptor: Int32, until end: ContinuousClock.Instant, _ what: String) throws {
        var watched = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let left = (end - .now).components.seconds
            guard left > 0 else { throw AccountError(.timedOut, "no \(what) was given in time") }
            let count = poll(&watched, 2, Int32(left) * 1000)
            if watched[1].revents != 0 { throw CancellationError() }
            if count > 0 { return }
        }
    }

    private func write(_ text: String, to descriptor: Int32) {
        _ = Array(text.utf8).withUnsafeBytes { writeAll(descriptor, $0) }
    }
}
