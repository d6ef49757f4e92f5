import Glibc
import NIOCore
import NIOPosix

/// Failures of sockets in words.
enum SocketFailure {
    static func unreachable(_ address: ServerAddress, _ error: any Error) -> MTProtoError {
        MTProtoError(.unreachable, "unable to reach \(address): \(reason(error))")
    }

    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { reason($0.error) } ?? "the name cannot be looked up"
        case ChannelError.connectTimeout: "it does not answer"
        default: "the connection fails"
        }
    }
}
