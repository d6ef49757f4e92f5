import Glibc
import Synchronization

/// Passes connections on to another TCP port of 127.0.0.1 while it is open, and ends them at once while it is not.
package final class LoopbackRelay: Sendable {
    private let listener: LoopbackListener
    private let isOpen = Mutex(false)

    package init(to port: Int) throws {
        listener = try LoopbackListener()
        listener.accept { [weak self] client, _ in
            guard self?.isOpen.withLock({ $0 }) == true, let server = connectToLoopback(port: port) else {
                close(client)
                return
            }
            passOn(between: client, and: server)
        }
    }

    package var port: Int { Int(listener.port) }

    /// Lets new connections through from now on.
    package func open() { isOpen.withLock { $0 = true } }
}

/// Passes bytes on between two sockets until either ends, and closes both.
///
/// - Parameter isPassed: decides whether a piece reaches the other side; if not, both sockets are closed.
func passOn(
    between client: Int32, and server: Int32,
    _ isPassed: (_ piece: ArraySlice<UInt8>, _ isFromClient: Bool) -> Bool = { _, _ in true }
) {
    defer {
        close(client)
        close(server)
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        var set = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&set, 2, -1) > 0 else { return }
        for (side, entry) in set.enumerated() where entry.revents != 0 {
            let count = read(entry.fd, &buffer, buffer.count)
            guard count > 0, isPassed(buffer[..<count], side == 0), sendAll(buffer[..<count], to: set[1 - side].fd)
            else { return }
        }
    }
}
