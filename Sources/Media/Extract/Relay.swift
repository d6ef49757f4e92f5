import Glibc

/// Moves bytes between two connections until both directions have ended.
enum Relay {
    /// How long both sides may be silent.
    private static let idleMilliseconds: Int32 = 120_000

    static func run(between first: Int32, and second: Int32) {
        withUnsafeTemporaryAllocation(byteCount: 128 << 10, alignment: 16) { buffer in
            var isOpen = [true, true]
            let ends = [first, second]
            while isOpen[0] || isOpen[1] {
                var entries = (0...1).map { pollfd(fd: isOpen[$0] ? ends[$0] : -1, events: Int16(POLLIN), revents: 0) }
                guard poll(&entries, 2, idleMilliseconds) > 0 else { return }
                for side in 0...1 where entries[side].revents != 0 {
                    let count = recv(ends[side], buffer.baseAddress, buffer.count, 0)
                    if count > 0 {
                        guard send(ends[1 - side], UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
                    } else {
                        isOpen[side] = false
                        shutdown(ends[1 - side], Int32(SHUT_WR))
                    }
                }
            }
        }
    }

    static func sendAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { send(descriptor, $0) }
    }

    /// What has come; nil at the end, on failure and when nothing came in time.
    static func receive(_ descriptor: Int32, until deadline: ContinuousClock.Instant) -> [UInt8]? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let (seconds, attoseconds) = max(.zero, deadline - .now).components
        guard poll(&entry, 1, Int32(seconds * 1000 + attoseconds / 1_000_000_000_000_000)) > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }

    private static func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = Glibc.send(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}
