import Glibc

/// The lock of a session: one process has it at a time, until it releases it or dies.
struct SessionLock: ~Copyable {
    enum Attempt: ~Copyable {
        case taken(SessionLock)
        /// Another process has the lock; its id, if that is known.
        case busy(pid_t?)
    }

    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// - Parameter path: the lock file, which is created if it is missing; its folder must exist.
    /// - Throws: `AccountError`, `localIO`.
    static func attempt(_ path: String) throws(AccountError) -> Attempt {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw system("unable to open \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            defer { close(descriptor) }
            guard errno == EWOULDBLOCK else { throw system("unable to lock \(path)") }
            return .busy(holder(descriptor))
        }
        let text = "\(getpid())\n"
        guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, text, text.utf8.count, 0) == text.utf8.count else {
            close(descriptor)
            throw system("unable to write \(path)")
        }
        return .taken(SessionLock(descriptor))
    }

    /// Returns the process that has the lock; nil if there is none, or it is unknown.
    static func holder(_ path: String) -> pid_t? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0 else { return nil }
        return holder(descriptor)
    }

    private static func holder(_ descriptor: Int32) -> pid_t? {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return pid_t(String(decoding: bytes.prefix(max(0, count)).prefix { $0 > 0x20 }, as: UTF8.self))
    }

    private static func system(_ what: String) -> AccountError {
        AccountError(.localIO, "\(what): \(String(cString: strerror(errno)))")
    }
}
