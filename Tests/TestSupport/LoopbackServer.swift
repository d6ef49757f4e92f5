import Glibc
import Synchronization

/// Runs an HTTP/1.1 server on 127.0.0.1 whose responses, faults included, a test scripts.
///
/// Every connection has a thread of its own, which reads a request, calls the handler, and reads the next one until the
/// handler closes the connection or the client does.
package final class LoopbackServer: Sendable {
    package typealias Handler = @Sendable (LoopbackRequest, LoopbackConnection) -> Void

    package let port: UInt16
    private let listener: Int32
    private let handler: Handler
    private let log = Mutex<[LoopbackRequest]>([])

    package init(_ handler: @escaping Handler) throws {
        self.handler = handler
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = self.listener
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 128) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else { throw LoopbackError(message: "cannot listen: errno \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        onThread { [self] in acceptConnections() }
    }

    /// Stops accepting connections. Call it once.
    package func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    /// Returns the URL of a path on this server.
    package func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    /// The requests received so far.
    package var requests: [LoopbackRequest] { log.withLock { $0 } }

    private func acceptConnections() {
        var number = 0
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            if descriptor < 0 && errno == EINTR { continue }
            guard descriptor >= 0 else { break }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            number += 1
            let connection = LoopbackConnection(descriptor: descriptor, number: number)
            onThread { [self] in serve(connection) }
        }
        close(listener)
    }

    private func serve(_ connection: LoopbackConnection) {
        while let request = connection.readRequest() {
            log.withLock { $0.append(request) }
            handler(request, connection)
        }
        connection.close()
    }
}

package struct LoopbackError: Error {
    package let message: String
}

/// Runs blocking work on a thread of its own.
func onThread(_ work: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
    var thread = pthread_t()
    let context = Unmanaged.passRetained(Box(work)).toOpaque()
    pthread_create(
        &thread, nil,
        { context in
            if let context { Unmanaged<Box>.fromOpaque(context).takeRetainedValue().work() }
            return nil
        }, context)
    pthread_detach(thread)
}
