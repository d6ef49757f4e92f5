import CLinux
import Glibc

/// Protects state that threads share and wait on, with a mutex and a condition. `Synchronization.Mutex` has no way to wait.
///
/// Do not use it in tasks, because a wait blocks its thread.
package final class Monitor<State>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var state: State

    package init(_ state: sending State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Reads the state, or changes a part of it that no thread waits for.
    package func read<Result>(_ body: (inout State) throws -> sending Result) rethrows -> sending Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state)
    }

    /// Changes the state and wakes the waiting threads.
    package func update<Result>(_ body: (inout State) throws -> sending Result) rethrows -> sending Result {
        // A thread that is woken before the mutex is free only waits again, for the mutex.
        defer { pthread_cond_broadcast(changed) }
        return try read(body)
    }

    /// Waits until `body` returns a value. It is called at once and again after each `update`. With its value it may change the state,
    /// which wakes the other waiting threads.
    ///
    /// - Parameter limit: the longest wait; nil for no limit.
    /// - Returns: nil if the time was over first.
    package func wait<Result>(
        atMost limit: Duration? = nil, until body: (inout State) throws -> sending Result?
    ) rethrows -> sending Result? {
        let deadline = limit.map(Self.deadline)
        var isOver = false
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = try body(&state) {
                pthread_cond_broadcast(changed)
                return result
            }
            guard !isOver else { return nil }
            if let deadline {
                isOver = tgp_wait_until(changed, mutex, deadline) == ETIMEDOUT
            } else {
                pthread_cond_wait(changed, mutex)
            }
        }
    }

    private static func deadline(after limit: Duration) -> Int64 {
        let (seconds, attoseconds) = limit.components
        let nanoseconds = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !nanoseconds.overflow else { return .max }
        let sum = SystemClocks.monotonicNanoseconds.addingReportingOverflow(
            nanoseconds.partialValue + attoseconds / 1_000_000_000)
        return sum.overflow ? .max : sum.partialValue
    }
}
