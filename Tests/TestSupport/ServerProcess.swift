import Glibc
import Synchronization

/// Holds the process of a server that tests end, kill and start again.
final class ServerProcess: Sendable {
    private let name: String
    private let process = Mutex<SpawnedProgram?>(nil)

    struct NoAnswer: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter name: the server's name, for errors.
    init(_ name: String) { self.name = name }

    var processIdentifier: Int32? { process.withLock { $0?.processIdentifier } }

    /// Starts the server. A process that still runs is killed first.
    @discardableResult
    func start(_ words: [String]) throws -> SpawnedProgram {
        end(with: SIGKILL)
        let started = try SpawnedProgram(words)
        process.withLock { $0 = started }
        return started
    }

    func signal(_ number: Int32) { process.withLock { $0?.signal(number) } }

    /// Ends the server with a signal, and waits for its end.
    func end(with number: Int32) {
        let running = process.withLock { process in
            defer { process = nil }
            return process
        }
        running?.signal(number)
        running?.wait()
    }

    /// Waits until the server answers.
    ///
    /// - Throws: `NoAnswer` after the longest time.
    func waitUntilReady(atMost longest: Duration, _ answers: () throws -> Bool) throws {
        try ServerProcess.wait(for: name, atMost: longest, answers)
    }

    /// Waits until something is ready.
    ///
    /// - Throws: `NoAnswer` after the longest time.
    static func wait(
        for name: String, atMost longest: Duration = .seconds(30), _ isReady: () throws -> Bool
    ) throws {
        let end = ContinuousClock.now + longest
        while try !isReady() {
            guard ContinuousClock.now < end else { throw NoAnswer(description: "\(name) does not answer") }
            usleep(10_000)
        }
    }
}
