import JSON
import System

/// A proxy between this machine and Telegram.
package enum Proxy: Sendable, Equatable {
    case socks5(ServerAddress, user: String?, password: String?)
    case mtproxy(ServerAddress, ProxySecret)

    package var address: ServerAddress {
        switch self {
        case .socks5(let address, _, _), .mtproxy(let address, _): address
        }
    }

    var secret: ProxySecret? {
        if case .mtproxy(_, let secret) = self { secret } else { nil }
    }
}

extension Proxy {
    /// Reads a proxy link: `tg://proxy?server=…&port=…&secret=…`, the same at `https://t.me/`, `tg://socks?…`, or
    /// `socks5://USER:PASSWORD@HOST:PORT`.
    ///
    /// - Throws: `MTProtoError`, `configuration`; its message holds no secret of the link.
    package init(link: String) throws(MTProtoError) {
        if let rest = Proxy.rest(of: link, after: ["socks5://"]) {
            self = try Proxy.socks(rest)
            return
        }
        let prefixes = ["tg://", "tg:", "https://t.me/", "http://t.me/", "https://telegram.me/", "t.me/"]
        guard let rest = Proxy.rest(of: link, after: prefixes) else { throw Proxy.unreadable }
        let parts = rest.split(separator: "?", maxSplits: 1)
        guard parts.count == 2 else { throw Proxy.unreadable }
        var fields: [Substring: String] = [:]
        for pair in parts[1].split(separator: "&") {
            let words = pair.split(separator: "=", maxSplits: 1)
            guard words.count == 2, let value = strictlyPercentDecoded(words[1]) else { continue }
            fields[words[0]] = value
        }
        let address = try Proxy.address(fields["server"] ?? "", fields["port"] ?? "")
        switch parts[0] {
        case "proxy":
            KnownSecrets.remember(fields["secret"] ?? "")
            self = .mtproxy(address, try ProxySecret(fields["secret"] ?? ""))
        case "socks":
            KnownSecrets.remember(fields["pass"] ?? "")
            self = .socks5(address, user: fields["user"], password: fields["pass"])
        default: throw Proxy.unreadable
        }
    }

    private static func socks(_ rest: Substring) throws(MTProtoError) -> Proxy {
        let place = rest.lastIndex(of: "@")
        let target = place.map { rest[rest.index(after: $0)...] } ?? rest
        guard let colon = target.lastIndex(of: ":") else { throw unreadable }
        let host = target[..<colon].drop { $0 == "[" }
        let name = host.last == "]" ? host.dropLast() : host
        let address = try address(String(name), String(target[target.index(after: colon)...]))
        guard let place else { return .socks5(address, user: nil, password: nil) }
        let words = rest[..<place].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let user = strictlyPercentDecoded(words[0]),
            let password = words.count == 2 ? strictlyPercentDecoded(words[1]) : ""
        else {
            throw unreadable
        }
        KnownSecrets.remember(password)
        return .socks5(address, user: user, password: password)
    }

    private static func rest(of link: String, after prefixes: [String]) -> Substring? {
        prefixes.first { link.hasPrefix($0) }.map { link.dropFirst($0.count) }
    }

    private static func address(_ host: String, _ port: String) throws(MTProtoError) -> ServerAddress {
        guard !host.isEmpty, host.utf8.count < 256, let port = UInt16(port), port > 0 else { throw unreadable }
        return ServerAddress(host, Int(port))
    }

    private static var unreadable: MTProtoError {
        MTProtoError(
            .configuration, "invalid proxy link: write tg://proxy?server=…&port=…&secret=… or socks5://HOST:PORT")
    }
}

/// The secret of an MTProxy.
package struct ProxySecret: Sendable, Equatable, CustomStringConvertible {
    /// The secret's 16 bytes.
    let bytes: [UInt8]
    /// Is true if the secret begins with `dd`: the proxy accepts only the padded transport.
    let demandsPadding: Bool

    /// Reads a secret in the forms of links: hexadecimal digits or base64.
    ///
    /// - Throws: `MTProtoError`, `configuration`.
    package init(_ text: String) throws(MTProtoError) {
        let isHexadecimal = text.utf8.count % 2 == 0 && text.allSatisfy { $0.isASCII && $0.isHexDigit }
        guard let all = isHexadecimal ? hexadecimal(text) : Base64.decodeForURLs(text) else {
            throw ProxySecret.unreadable
        }
        if all.first == 0xee && all.count > 16 {
            throw MTProtoError(
                .configuration,
                "a proxy secret that begins with 'ee' requires a connection that looks like TLS, "
                    + "which tgpipe does not make: use a proxy with a secret that begins with 'dd'")
        }
        demandsPadding = all.count == 17 && all[0] == 0xdd
        guard all.count == 16 || demandsPadding else { throw ProxySecret.unreadable }
        bytes = all.suffix(16)
    }

    private static var unreadable: MTProtoError {
        MTProtoError(.configuration, "the proxy secret must be 16 bytes in hexadecimal digits or base64")
    }

    package var description: String { "a proxy secret" }
}
