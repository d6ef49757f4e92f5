import Glibc
import Synchronization
import System

/// The descriptor to which the signal handler writes; the handler may touch nothing else.
nonisolated(unsafe) private var signalDescriptor: Int32 = -1

/// Represents the requested end of the tool: the first SIGTERM or SIGINT requests it, a second one ends the process.
package final class Shutdown: Sendable {
    /// The signal that requested the shutdown; 0 for a request of the tool itself.
    private let requested = Promise<Int32>()
    /// A descriptor for `poll` that is readable once the shutdown is requested.
    package let descriptor: Int32
    private let signals: Int32

    /// Installs the handlers for SIGTERM and SIGINT, and ignores SIGPIPE and SIGXFSZ.
    package init() {
        descriptor = Linux.eventCounter()
        signals = Linux.eventCounter()
        signalDescriptor = signals
        // A missing reader and a file at its size limit are reported as errors of a write; the signals would end the process silently.
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
        // After the first signal the default applies again: a second signal ends the process at once.
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_RESTART
        sigaction(number, &action, nil)
    }

    private func waitForSignal() {
        var number: UInt64 = 0
        while read(signals, &number, 8) < 0 && errno == EINTR {}
        request(signal: Int32(truncatingIfNeeded: number))
    }

    /// Requests the shutdown, as a signal does; called without a signal because of a failure inside the tool.
    package func request(signal: Int32 = 0) {
        requested.fulfil(.success(signal))
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    package var isRequested: Bool { requested.result != nil }

    /// The signal that requested the shutdown; 0 for a request of the tool itself, nil without a request.
    package var signal: Int32? { try? requested.result?.get() }

    /// The signal that the exit status names.
    package var endingSignal: Int32 { signal.flatMap { $0 == 0 ? nil : $0 } ?? SIGTERM }

    /// Returns when the shutdown is requested or the task is cancelled.
    package func wait() async { _ = try? await requested.value() }

    /// Runs `body` and cancels it when the shutdown is requested: for waits that may be cut short, such as a long poll.
    ///
    /// - Returns: nil if the body was cut short.
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
