import Glibc
import Synchronization
import System

/// Listens on a free TCP port of 127.0.0.1 until it is stopped or released.
package final class LoopbackListener: Sendable {
    package let port: UInt16
    private let socket: Socket

    /// Begins to listen: connections wait until `accept` is called.
    package init() throws {
        let (descriptor, port) = try LoopbackListener.bind()
        guard listen(descriptor, 128) == 0 else {
            let reason = SystemError(errno)
            close(descriptor)
            throw LoopbackError(message: "cannot listen: \(reason)")
        }
        (socket, self.port) = (Socket(descriptor), port)
    }

    deinit { stop() }

    /// Accepts connections until the end, on a thread of its own.
    ///
    /// - Parameter serve: takes each connection's descriptor and its number, counted from 1, on a thread of that connection, and
    ///   closes it.
    package func accept(_ serve: @escaping @Sendable (_ connection: Int32, _ number: Int) -> Void) {
        BlockingThread.start { [socket] in
            var count = 0
            while let connection = socket.accept() {
                count += 1
                // What tests do with a connection may need a deep stack.
                BlockingThread.start(stackBytes: 8 << 20) { [count] in serve(connection, count) }
            }
            socket.close()
        }
    }

    /// Ends the listening: connections are refused from now on.
    package func stop() { socket.shutDown() }

    /// Returns a port that was free at the time of the call.
    package static func freePort() throws -> Int {
        let (descriptor, port) = try bind()
        close(descriptor)
        return Int(port)
    }

    private static func bind() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = loopbackAddress(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else {
            let reason = SystemError(errno)
            close(descriptor)
            throw LoopbackError(message: "no free port: \(reason)")
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// Owns the listening descriptor. Once it is closed, its number may be another file's, so it is not used any more.
    private final class Socket: Sendable {
        private let descriptor: Int32
        private let isOpen = Mutex(true)

        init(_ descriptor: Int32) { self.descriptor = descriptor }

        deinit { close() }

        func shutDown() { isOpen.withLock { if $0 { _ = shutdown(descriptor, Int32(SHUT_RDWR)) } } }

        func close() {
            isOpen.withLock { isOpen in
                if isOpen { _ = Glibc.close(descriptor) }
                isOpen = false
            }
        }

        /// Returns the next connection; nil at the end.
        func accept() -> Int32? {
            while true {
                let connection = Glibc.accept(descriptor, nil, nil)
                if connection >= 0 {
                    _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                    return connection
                }
                if errno != EINTR { return nil }
            }
        }
    }
}

package struct LoopbackError: Error {
    package let message: String
}

/// Returns the address of a port on 127.0.0.1.
private func loopbackAddress(port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
}

/// Connects to a TCP port on 127.0.0.1.
///
/// - Returns: the socket, which the caller closes; nil when nothing listens there.
func connectToLoopback(port: Int) -> Int32? {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    let address = loopbackAddress(port: port)
    let isConnected = withUnsafePointer(to: address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
    if isConnected { return descriptor }
    close(descriptor)
    return nil
}

/// Sends bytes to a socket.
///
/// - Returns: whether all of them were taken.
func sendAll(_ bytes: some Collection<UInt8>, to descriptor: Int32) -> Bool {
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
    }
    return true
}
