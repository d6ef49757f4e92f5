import CChild
import Glibc
import Synchronization
import System

/// A started program, the leader of a process group of its own.
///
/// The program gets its three standard descriptors and no other, default signal actions and no blocked signal. Being in a
/// group of its own, it does not receive a terminal's Ctrl-C.
package final class ChildProcess: Sendable {
    /// Decides what becomes of the group when the thread that started it ends, with its process or alone.
    package enum Lifetime: Sendable {
        /// A guard process kills the whole group. The program has a session of its own, without a terminal, and writes no
        /// core files. Start such a child on the thread that waits for it.
        case endsWithParent
        /// The program goes on: it ends when its input does, or by a signal.
        case outlivesParent
    }

    /// Names the source or the target of one of the three standard streams.
    package enum Stream: Sendable {
        /// This process's own stream.
        case inherited
        /// `/dev/null`.
        case null
        /// An open descriptor, which stays open here and remains the caller's.
        case descriptor(Int32)
        /// A new pipe. This process's end belongs to the `ChildProcess` until it is taken (`takeInput` …).
        case pipe(isNonBlocking: Bool = true)
    }

    /// Tells how a process ended.
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

    /// Tells why a program could not be started. Nothing of it is left then: no process and no descriptor.
    package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        /// The step that failed.
        package enum Step: Sendable {
            /// There is no such program. The code is `ENOENT`.
            case findProgram
            case openPipe
            case openFile
            case start
            /// The program's jail could not be set up.
            case confine
            /// The process was started, and killed again because it could not be watched.
            case watch
        }

        package let step: Step
        /// The system's error number.
        package let code: Int32

        package var description: String { String(cString: strerror(code)) }
    }

    /// The program's process id (the guard's, if there is one), which is also the group's id.
    package let processIdentifier: Int32
    /// A descriptor that polls readable once the program has ended. It closes with this object.
    package let watch: Int32
    private let ending = Mutex<Ending?>(nil)
    private let ends: Mutex<ParentEnds>

    /// Starts a program.
    ///
    /// - Throws: `Failure`, also for a program that does not exist.
    package convenience init(
        _ command: Command, input: Stream = .inherited, output: Stream = .inherited, errors: Stream = .inherited,
        lifetime: Lifetime = .outlivesParent
    ) throws(Failure) {
        try self.init(command, [input, output, errors], lifetime, openWatch: tgp_child_watch)
    }

    /// - Parameter openWatch: opens the descriptor that watches a process; tests replace it by one that fails.
    init(
        _ command: Command, _ streams: [Stream], _ lifetime: Lifetime, openWatch: (pid_t) -> Int32
    ) throws(Failure) {
        guard let executable = command.executable else { throw Failure(step: .findProgram, code: ENOENT) }
        var opened = OpenedStreams()
        defer { opened.closeChildEnds() }
        do throws(Failure) {
            for (number, stream) in streams.enumerated() { try opened.open(stream, number: Int32(number)) }
            let started = command.start(
                executable, streams: (opened.child[0], opened.child[1], opened.child[2]),
                isGuarded: lifetime == .endsWithParent)
            guard started > 0 else { throw Failure(startOf: -started) }
            let watch = openWatch(started)
            guard watch >= 0 else {
                kill(-started, SIGKILL)
                while waitpid(started, nil, 0) < 0 && errno == EINTR {}
                throw Failure(step: .watch, code: -watch)
            }
            processIdentifier = started
            self.watch = watch
        } catch {
            opened.parent.closeAll()
            throw error
        }
        ends = Mutex(opened.parent)
    }

    deinit {
        // A process that has ended is reaped. One that still runs goes on.
        _ = check()
        close(watch)
        ends.withLock { $0.closeAll() }
    }

    /// Hands the writing end of the standard input's pipe to the caller, who closes it; -1 when there is none any more.
    package func takeInput() -> Int32 { ends.withLock { $0.take(0) } }

    /// Hands the reading end of the standard output's pipe to the caller, who closes it; -1 when there is none any more.
    package func takeOutput() -> Int32 { ends.withLock { $0.take(1) } }

    /// Hands the reading end of the standard error's pipe to the caller, who closes it; -1 when there is none any more.
    package func takeErrors() -> Int32 { ends.withLock { $0.take(2) } }

    /// Sends a signal to the whole group, unless the program's end was noticed already.
    package func signal(_ number: Int32) {
        ending.withLock { if $0 == nil { kill(-processIdentifier, number) } }
    }

    /// Returns how the program ended; nil while it runs.
    package func check() -> Ending? {
        ending.withLock { ending in
            if let ending { return ending }
            var raw: Int32 = 0
            guard waitpid(processIdentifier, &raw, WNOHANG) == processIdentifier else { return nil }
            ending = raw & 0x7F == 0 ? .exited(raw >> 8 & 0xFF) : .signalled(raw & 0x7F)
            return ending
        }
    }

    /// Blocks until the program has ended.
    ///
    /// - Parameter limit: the longest time to wait.
    /// - Returns: nil when the program still runs after that time.
    package func wait(atMost limit: Duration) -> Ending? {
        let deadline = ContinuousClock.now + limit
        while true {
            if let ending = check() { return ending }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { return nil }
            var entry = pollfd(fd: watch, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, left.pollMilliseconds)
        }
    }

    /// Asks the group to end (`SIGTERM`) and kills it when the program still runs after `grace`. Blocks.
    ///
    /// - Returns: how the program ended; nil when it did not end within another `grace` after it was killed.
    package func terminate(grace: Duration) -> Ending? {
        signal(SIGTERM)
        if let ending = wait(atMost: grace) { return ending }
        signal(SIGKILL)
        return wait(atMost: grace)
    }
}

extension Duration {
    /// The duration as a time limit for `poll`: milliseconds, rounded up, from 0 to one hour.
    var pollMilliseconds: Int32 {
        let (seconds, attoseconds) = max(.zero, self).components
        return Int32(min(3_600_000, seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1))
    }
}

extension ChildProcess.Failure {
    /// - Parameter code: the error's number, which is marked if it comes from the jail.
    fileprivate init(startOf code: Int32) {
        let isOfJail = code & Int32(tgp_failed_jail) != 0
        self.init(step: isOfJail ? .confine : .start, code: code & ~Int32(tgp_failed_jail))
    }
}

/// This process's ends of the pipes to a child, by the number of the standard stream; -1 where there is none.
private struct ParentEnds: Sendable {
    private var descriptors: [Int32] = [-1, -1, -1]

    mutating func set(_ number: Int32, _ descriptor: Int32) { descriptors[Int(number)] = descriptor }

    mutating func take(_ number: Int) -> Int32 {
        defer { descriptors[number] = -1 }
        return descriptors[number]
    }

    mutating func closeAll() {
        for number in 0..<3 where descriptors[number] >= 0 { close(take(number)) }
    }
}

/// The descriptors that were opened to start a child.
private struct OpenedStreams {
    private(set) var child: [Int32] = []
    var parent = ParentEnds()
    private var toClose: [Int32] = []

    /// - Parameter number: 0, 1 or 2.
    mutating func open(_ stream: ChildProcess.Stream, number: Int32) throws(ChildProcess.Failure) {
        switch stream {
        case .inherited: child.append(number)
        case .descriptor(let descriptor): child.append(descriptor)
        case .null:
            let descriptor = Glibc.open("/dev/null", (number == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC)
            guard descriptor >= 0 else { throw ChildProcess.Failure(step: .openFile, code: errno) }
            toClose.append(descriptor)
            child.append(descriptor)
        case .pipe(let isNonBlocking):
            guard let pipe = PipeCalls.open() else { throw ChildProcess.Failure(step: .openPipe, code: errno) }
            let (own, childs) = number == 0 ? (pipe.writing, pipe.reading) : (pipe.reading, pipe.writing)
            // Only this end: a program may not expect its own end to be non-blocking.
            if isNonBlocking { _ = fcntl(own, F_SETFL, O_NONBLOCK) }
            parent.set(number, own)
            toClose.append(childs)
            child.append(childs)
        }
    }

    func closeChildEnds() { for descriptor in toClose { close(descriptor) } }
}
