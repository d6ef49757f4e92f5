import Glibc

/// Opens a connection through a SOCKS5 proxy: a state machine from bytes to bytes.
///
/// Source: RFC 1928, RFC 1929.
struct Socks5 {
    enum Step: Equatable {
        case send([UInt8])
        case wait
        /// The connection is open. The bytes, and all that follow, come from the server.
        case done([UInt8])
    }

    private enum State { case method, password, reply }

    private let target: ServerAddress
    private let user: String?
    private let password: String
    private var state = State.method
    private var unread: [UInt8] = []

    init(to target: ServerAddress, user: String?, password: String?) {
        (self.target, self.user, self.password) = (target, user, password ?? "")
    }

    /// The first bytes to send, which offer to log in if there is a user name.
    var opening: [UInt8] { user == nil ? [5, 1, 0] : [5, 2, 0, 2] }

    mutating func receive(_ bytes: some Collection<UInt8>) throws(MTProtoError) -> Step {
        unread += bytes
        switch state {
        case .method:
            guard unread.count >= 2 else { return .wait }
            guard unread[0] == 5 else { throw refused("it is no SOCKS5 proxy") }
            return try choose(unread[1])
        case .password:
            guard unread.count >= 2 else { return .wait }
            guard unread[1] == 0 else { throw refused("it does not accept the name and the password") }
            return ask(after: 2)
        case .reply: return try takeReply()
        }
    }

    private mutating func choose(_ method: UInt8) throws(MTProtoError) -> Step {
        switch method {
        case 0: return ask(after: 2)
        case 2:
            guard let user, user.utf8.count < 256, password.utf8.count < 256 else {
                throw refused("it wants a name and a password")
            }
            unread.removeFirst(2)
            state = .password
            return .send(
                [1, UInt8(user.utf8.count)] + Array(user.utf8) + [UInt8(password.utf8.count)] + Array(password.utf8))
        default: throw refused(user == nil ? "it wants a name and a password" : "it accepts no way to log in")
        }
    }

    private mutating func ask(after count: Int) -> Step {
        unread.removeFirst(count)
        state = .reply
        return .send([5, 1, 0] + targetBytes + [UInt8(target.port >> 8 & 255), UInt8(target.port & 255)])
    }

    /// The target as the protocol writes it. An IP address is not sent as a name, because some proxies resolve no names.
    private var targetBytes: [UInt8] {
        let parts = target.host.split(separator: ".").compactMap { UInt8($0) }
        if parts.count == 4 && target.host.split(separator: ".").count == 4 { return [1] + parts }
        if let address = IPv6.bytes(target.host) { return [4] + address }
        return [3, UInt8(min(target.host.utf8.count, 255))] + target.host.utf8.prefix(255)
    }

    private mutating func takeReply() throws(MTProtoError) -> Step {
        guard unread.count >= 5 else { return .wait }
        guard unread[0] == 5, unread[1] == 0 else { throw refused(Socks5.reason(unread[1])) }
        let count: Int
        switch unread[3] {
        case 1: count = 4 + 4 + 2
        case 3: count = 4 + 1 + Int(unread[4]) + 2
        case 4: count = 4 + 16 + 2
        default: throw refused("its answer cannot be read")
        }
        guard unread.count >= count else { return .wait }
        return .done(Array(unread[count...]))
    }

    private static func reason(_ code: UInt8) -> String {
        switch code {
        case 2: "its rules forbid it"
        case 3: "it cannot reach the network"
        case 4: "it cannot reach the host"
        case 5: "the connection is refused"
        case 6: "the connection takes too long"
        default: "failure \(code)"
        }
    }

    private func refused(_ why: String) -> MTProtoError {
        MTProtoError(.unreachable, "the SOCKS5 proxy does not connect to \(target): \(why)")
    }
}

/// Reads IPv6 addresses.
enum IPv6 {
    /// Returns the 16 bytes of an address; nil when the text is no IPv6 address.
    static func bytes(_ text: String) -> [UInt8]? {
        var address = in6_addr()
        guard inet_pton(AF_INET6, text, &address) == 1 else { return nil }
        return withUnsafeBytes(of: &address) { Array($0) }
    }
}
