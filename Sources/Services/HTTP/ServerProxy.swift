import CCurl
import Glibc
import JSON

/// A proxy through which TCP connections to servers are opened.
package struct ServerProxy: Sendable, Equatable, CustomStringConvertible {
    /// The whole URL, which may hold a password.
    let url: String
    /// The scheme, the host and the port, without what may be secret.
    package let description: String
    /// The password as it is, and as it is written in the URL; empty if there is none.
    package let passwords: [String]

    /// Reads the URL of a proxy: `http://`, `socks5://`, `socks5h://` or `socks4a://`, with a port, and if the proxy requires
    /// them with a user name and a password. Returns nil for anything else.
    package init?(_ text: String) {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), let handle = curl_url() else {
            return nil
        }
        defer { curl_url_cleanup(handle) }
        let flags = UInt32(CURLU_NON_SUPPORT_SCHEME)
        guard curl_url_set(handle, CURLUPART_URL, text, flags) == CURLUE_OK,
            let scheme = ServerProxy.part(CURLUPART_SCHEME, of: handle), ServerProxy.schemes.contains(scheme),
            let host = ServerProxy.part(CURLUPART_HOST, of: handle), !host.isEmpty,
            let port = ServerProxy.part(CURLUPART_PORT, of: handle).flatMap({ UInt16($0) }), port > 0,
            ["/", nil].contains(ServerProxy.part(CURLUPART_PATH, of: handle)),
            ServerProxy.part(CURLUPART_QUERY, of: handle) == nil
        else {
            return nil
        }
        url = text
        description = "\(scheme)://\(host):\(port)"
        passwords = [0, UInt32(CURLU_URLDECODE)].compactMap { flags in
            ServerProxy.part(CURLUPART_PASSWORD, of: handle, flags)
        }
    }

    private static let schemes = ["http", "socks5", "socks5h", "socks4a"]

    private static func part(_ part: CURLUPart, of handle: OpaquePointer, _ flags: UInt32 = 0) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, flags) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }

    /// Opens a connection to a server through the proxy. Call this on a thread that may block.
    ///
    /// - Parameters:
    ///   - host: the server's name, or its IPv4 or IPv6 address.
    ///   - limit: the time limit for all steps together.
    /// - Throws: `HTTPError`: `unreachable` if the proxy cannot be reached or refuses, `timedOut`.
    package func connect(to host: String, port: Int, within limit: Duration) throws(HTTPError) -> ProxiedConnection {
        guard let easy = curl_easy_init() else { throw HTTPError(.localIO, "unable to start a transfer") }
        let target = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        for (option, text) in [(CURLOPT_URL, "http://\(target)/"), (CURLOPT_PROXY, url), (CURLOPT_NOPROXY, "")] {
            _ = tgpipe_curl_set_string(easy, option, text)
        }
        let milliseconds = Int(clamping: limit.milliseconds)
        for (option, value) in [
            (CURLOPT_NOSIGNAL, 1), (CURLOPT_CONNECT_ONLY, 1), (CURLOPT_HTTPPROXYTUNNEL, 1), (CURLOPT_TCP_NODELAY, 1),
            (CURLOPT_CONNECTTIMEOUT_MS, milliseconds), (CURLOPT_TIMEOUT_MS, milliseconds),
        ] {
            _ = tgpipe_curl_set_long(easy, option, value)
        }
        // Other threads may start programs, which must not inherit the connection.
        _ = tgpipe_curl_on_open_socket(easy) { _, _, address in
            guard let address else { return CURL_SOCKET_BAD }
            let type = address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
            return socket(address.pointee.family, type, address.pointee.`protocol`)
        }
        let code = curl_easy_perform(easy)
        var descriptor = CURL_SOCKET_BAD
        guard code == CURLE_OK, tgpipe_curl_get_socket(easy, &descriptor) == CURLE_OK, descriptor >= 0 else {
            curl_easy_cleanup(easy)
            if code == CURLE_OPERATION_TIMEDOUT {
                throw HTTPError(.timedOut, "the proxy \(self) did not connect to \(host) in time")
            }
            throw HTTPError(.unreachable, "the proxy \(self) does not connect to \(host)")
        }
        return ProxiedConnection(easy, descriptor)
    }
}

/// A connection that a proxy has opened. It is closed when the last reference to it goes.
package final class ProxiedConnection {
    /// The connected socket, in blocking mode. The receiver must not close it.
    package let descriptor: Int32
    private let easy: UnsafeMutableRawPointer

    init(_ easy: UnsafeMutableRawPointer, _ descriptor: Int32) {
        (self.easy, self.descriptor) = (easy, descriptor)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    }

    deinit { curl_easy_cleanup(easy) }
}
