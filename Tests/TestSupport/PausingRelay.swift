import Glibc
import Synchronization

/// Passes connections on to a TCP port of 127.0.0.1, and lets a test act between two commands of a client.
package final class PausingRelay: Sendable {
    private let listener: LoopbackListener

    /// - Parameters:
    ///   - text: the first piece of a client that contains it waits for `action`, which runs once.
    package init(to port: Int, before text: String, _ action: @escaping @Sendable () -> Void) throws {
        let first = First()
        listener = try LoopbackListener()
        listener.accept { client, _ in
            guard let server = connectToLoopback(port: port) else {
                close(client)
                return
            }
            passOn(between: client, and: server) { piece, isFromClient in
                if isFromClient, piece.firstRange(of: Array(text.utf8)) != nil, first.isNow { action() }
                return true
            }
        }
    }

    package var port: Int { Int(listener.port) }

    /// Says yes once, to whichever connection asks first.
    private final class First: Sendable {
        private let isOver = Atomic(false)

        var isNow: Bool { !isOver.exchange(true, ordering: .relaxed) }
    }
}
