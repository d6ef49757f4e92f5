package import Glibc
import Synchronization

/// Runs a program that inherits only standard input, output and error.
///
/// Foundation's `Process` lets programs that start at the same time inherit each other's pipes, which then never end.
package final class SpawnedProgram: Sendable {
    package let processIdentifier: pid_t
    private let status = Mutex<Int32?>(nil)

    package struct Failure: Error {
        package let reason: String
    }

    /// - Parameter descriptors: the program's descriptors 0, 1 and 2; nil is `/dev/null`.
    package init(_ arguments: [String], descriptors: [Int32?] = [nil, nil, nil]) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, descriptor) in descriptors.enumerated() {
            if let descriptor {
                posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
            } else {
                posix_spawn_file_actions_addopen(&actions, Int32(number), "/dev/null", O_RDWR, 0)
            }
        }
        // It must not inherit sockets of other tests: they would stay open.
        for descriptor in Int32(descriptors.count)..<256 { posix_spawn_file_actions_addclose(&actions, descriptor) }
        var attributes = SpawnedProgram.freshSignals()
        defer { posix_spawnattr_destroy(&attributes) }
        var pid = pid_t()
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, &words, environ)
        guard code == 0 else { throw Failure(reason: "\(arguments[0]): \(String(cString: strerror(code)))") }
        processIdentifier = pid
    }

    /// Returns attributes with which no signal is blocked or ignored. A test may run on a thread that blocks all
    /// signals, and a program that inherits this mask could not be ended.
    private static func freshSignals() -> posix_spawnattr_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGINT, SIGPIPE, SIGTERM, SIGHUP, SIGQUIT] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        return attributes
    }

    package func signal(_ number: Int32) {
        status.withLock { if $0 == nil { kill(processIdentifier, number) } }
    }

    /// Waits for the program's end and returns its exit status, or 128 plus the number of the signal that ended it.
    @discardableResult
    package func wait() -> Int32 {
        if let known = status.withLock({ $0 }) { return known }
        var information = siginfo_t()
        while waitid(P_PID, id_t(processIdentifier), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        return status.withLock { known in
            if let known { return known }
            var raw: Int32 = 0
            waitpid(processIdentifier, &raw, 0)
            let code = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
            known = code
            return code
        }
    }

    /// Runs a program to its end and returns its standard output.
    package static func output(of arguments: [String]) throws -> String {
        var ends: [Int32] = [-1, -1]
        // A socket pair is used because it is close-on-exec from its creation, unlike a pipe.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Failure(reason: "no descriptors left") }
        defer { close(ends[0]) }
        let program: SpawnedProgram
        do {
            defer { close(ends[1]) }
            program = try SpawnedProgram(arguments, descriptors: [nil, ends[1], nil])
        }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(ends[0], &buffer, buffer.count)
            if count > 0 { text += buffer[..<count] }
            if count == 0 || count < 0 && errno != EINTR { break }
        }
        program.wait()
        return String(decoding: text, as: UTF8.self)
    }
}
