import System
import Glibc
import Synchronization

/// Written by the signal handler, which may touch nothing else.
nonisolated(unsafe) private var signalDescriptor: Int32 = -1

/// The end that somebody asked for: the first SIGTERM or SIGINT requests it, a second one ends the process.
package final class Shutdown: Sendable {
    private struct State {
        var signal: Int32?
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())
    /// Readable from the moment on that the shutdown is requested: for `poll`.
    package let descriptor: Int32
    private let requests: Int32

    /// Installs the handlers for SIGTERM and SIGINT, and ignores SIGPIPE and SIGXFSZ.
    package init() {
        descriptor = Linux.eventCounter()
        requests = Linux.eventCounter()
        signalDescriptor = requests
        // A reader that is gone and a file that may not grow are errors of a write, not the end of the process without a word.
        Glibc.signal(SIGPIPE, SIG_IGN)
        Glibc.signal(SIGXFSZ, SIG_IGN)
        for number in [SIGTERM, SIGINT] { Shutdown.handle(number) }
        BlockingThread.start { [self] in waitForSignal() }
    }

    private static func handle(_ number: Int32) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { number in
            var note = UInt64(number)
            _ = write(signalDescriptor, &note, 8)
            Glibc.signal(number == SIGTERM ? SIGINT : SIGTERM, SIG_DFL)
        }
        // Back to the default after the first: a second signal ends the process at once.
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_RESTART
        sigaction(number, &action, nil)
    }

    private func waitForSignal() {
        var number: UInt64 = 0
        while read(requests, &number, 8) < 0 && errno == EINTR {}
        request(signal: Int32(truncatingIfNeeded: number))
    }

    /// Ends the tool as a signal would, because of a failure inside.
    package func request(signal: Int32 = 0) {
        let waiters = state.withLock { state in
            state.signal = state.signal ?? signal
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
        for waiter in waiters { waiter.resume() }
    }

    package var isRequested: Bool { signal != nil }

    /// The signal that asked for it; 0 when it was the tool itself.
    package var signal: Int32? { state.withLock { $0.signal } }

    /// The signal that the exit status names.
    var endingSignal: Int32 { signal.flatMap { $0 == 0 ? nil : $0 } ?? SIGTERM }

    /// Returns when the shutdown is requested or the task is cancelled.
    package func wait() async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.signal != nil || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }

    /// Runs `body`, cancelled when the shutdown is requested: for waits that nobody depends on, as a long poll.
    ///
    /// - Returns: nil when it was cut short.
    package func interrupting<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws
        -> Value?
    {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                do { return try await body() } catch  where self.isRequested { return nil }
            }
            group.addTask {
                await self.wait()
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}
