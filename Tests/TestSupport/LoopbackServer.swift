import Synchronization

/// Runs an HTTP/1.1 server on 127.0.0.1 whose responses, faults included, a test scripts.
///
/// Every connection has a thread of its own, which reads a request, calls the handler, and reads the next one until the
/// handler closes the connection or the client does.
package final class LoopbackServer: Sendable {
    package typealias Handler = @Sendable (LoopbackRequest, LoopbackConnection) -> Void

    private let listener: LoopbackListener
    private let handler: Handler
    private let log = Mutex<[LoopbackRequest]>([])

    package init(_ handler: @escaping Handler) throws {
        self.handler = handler
        listener = try LoopbackListener()
        listener.accept { [self] descriptor, number in
            serve(LoopbackConnection(descriptor: descriptor, number: number))
        }
    }

    package var port: UInt16 { listener.port }

    /// Stops accepting connections.
    package func stop() { listener.stop() }

    /// Returns the URL of a path on this server.
    package func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    /// The requests received so far.
    package var requests: [LoopbackRequest] { log.withLock { $0 } }

    private func serve(_ connection: LoopbackConnection) {
        while let request = connection.readRequest() {
            log.withLock { $0.append(request) }
            handler(request, connection)
        }
        connection.close()
    }
}
