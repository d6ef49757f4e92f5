import Glibc
import Synchronization

/// Lets one thread wait for a descriptor, and other threads wake or stop it.
final class PollWaiter: Sendable {
    enum Outcome: Equatable { case ready, timedOut, woken, stopped }

    /// The reading end of a socket pair; a byte in it is a wake-up.
    private let reading: Int32
    private let writing: Int32
    private let stopped = Atomic(false)

    init() {
        var ends: (Int32, Int32) = (-1, -1)
        withUnsafeMutableBytes(of: &ends) {
            _ = socketpair(AF_UNIX, Socket.kind, 0, $0.bindMemory(to: Int32.self).baseAddress)
        }
        (reading, writing) = ends
    }

    deinit {
        guard isUsable else { return }
        close(reading)
        close(writing)
    }

    /// Is true if the system had descriptors for the socket pair.
    var isUsable: Bool { reading >= 0 }
    var isStopped: Bool { stopped.load(ordering: .acquiring) }

    /// Ends the current wait, or the next one. A full socket needs no further wake-up.
    func wake() { _ = send(writing, [1], 1, Int32(MSG_NOSIGNAL)) }

    /// Ends this wait and all later ones.
    func stop() {
        stopped.store(true, ordering: .releasing)
        wake()
    }

    /// Waits for `events` on a descriptor; -1 waits only for a wake-up.
    func wait(for events: Int32, on descriptor: Int32, until deadline: Deadline) -> Outcome {
        var entries = [
            pollfd(fd: descriptor, events: Int16(events), revents: 0),
            pollfd(fd: reading, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            if isStopped { return .stopped }
            let count = poll(&entries, 2, deadline.pollTimeout)
            if count < 0 && errno == EINTR { continue }
            if entries[1].revents != 0 {
                var bytes = (UInt64(0), UInt64(0))
                _ = withUnsafeMutableBytes(of: &bytes) { read(reading, $0.baseAddress, $0.count) }
            }
            if isStopped { return .stopped }
            if entries[0].revents != 0 { return .ready }
            if entries[1].revents != 0 { return .woken }
            if count <= 0 && deadline.hasPassed { return .timedOut }
        }
    }

    /// Waits like `wait`, but ignores wake-ups.
    func waitThrough(for events: Int32, on descriptor: Int32, until deadline: Deadline) -> Outcome {
        while true {
            let outcome = wait(for: events, on: descriptor, until: deadline)
            if outcome != .woken { return outcome }
        }
    }
}
