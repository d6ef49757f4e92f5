package import Glibc
import Synchronization
import System

/// A program that was started, in a process group of its own.
///
/// It inherits its three standard descriptors and nothing else: no other descriptor, no ignored or blocked signal. The
/// group keeps a terminal's Ctrl-C from it: it ends when its input does, or when it is told to.
package final class ChildProcess: Sendable {
    /// How a process ended.
    package enum Ending: Sendable, Hashable, CustomStringConvertible {
        case exited(Int32)
        case signalled(Int32)

        package var description: String {
            switch self {
            case .exited(let status): "exit status \(status)"
            case .signalled(let number): "signal \(number)"
            }
        }
    }

    /// The program could not be started.
    package struct Failure: Error, Sendable, CustomStringConvertible {
        package let code: Int32
        package var description: String { String(cString: strerror(code)) }
    }

    package let processIdentifier: pid_t
    private let ending = Mutex<Ending?>(nil)

    /// Starts `arguments[0]`, looked up in `PATH`.
    ///
    /// - Parameters:
    ///   - input: what becomes its standard input, and likewise `output` and `errors`; nil: the parent's own.
    ///     They stay open here.
    ///   - environment: `NAME=value` words; nil: the parent's own.
    /// - Throws: `Failure`, as for a program that is not there.
    package init(
        _ arguments: [String], input: Int32? = nil, output: Int32? = nil, errors: Int32? = nil,
        environment: [String]? = nil
    ) throws(Failure) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, descriptor) in [input, output, errors].enumerated() {
            if let descriptor { posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number)) }
        }
        Linux.closeDescriptors(from: 3, in: &actions)
        var attributes = ChildProcess.attributes()
        defer { posix_spawnattr_destroy(&attributes) }
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = (environment ?? []).map { strdup($0) } + [nil]
        defer { for word in words + variables { free(word) } }
        var started = pid_t()
        let code = variables.withUnsafeMutableBufferPointer { variables in
            let variables = environment == nil ? Linux.environment : UnsafePointer(variables.baseAddress)
            return posix_spawnp(&started, arguments[0], &actions, &attributes, &words, variables)
        }
        guard code == 0 else { throw Failure(code: code) }
        processIdentifier = started
    }

    private static func attributes() -> posix_spawnattr_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        posix_spawnattr_setflags(&attributes, Int16(flags))
        posix_spawnattr_setpgroup(&attributes, 0)
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        return attributes
    }

    /// Sends a signal to the process and to those that it started, unless it is known to have ended.
    package func signal(_ number: Int32) {
        ending.withLock { if $0 == nil { kill(-processIdentifier, number) } }
    }

    /// How it ended; nil while it runs.
    package func check() -> Ending? {
        ending.withLock { ending in
            if let ending { return ending }
            var raw: Int32 = 0
            guard waitpid(processIdentifier, &raw, WNOHANG) == processIdentifier else { return nil }
            ending = raw & 0x7F == 0 ? .exited(raw >> 8 & 0xFF) : .signalled(raw & 0x7F)
            return ending
        }
    }

    /// Blocks until it has ended.
    ///
    /// - Parameter limit: how long to wait at most.
    /// - Returns: nil when it still runs then.
    package func wait(atMost limit: Duration) -> Ending? {
        let end = ContinuousClock.now + limit
        var pause: UInt32 = 500
        while true {
            if let ending = check() { return ending }
            guard ContinuousClock.now < end else { return nil }
            usleep(pause)
            pause = min(pause * 2, 20_000)
        }
    }
}
