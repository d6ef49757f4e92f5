import Glibc
import JSON
package import MTProto

extension AccountSession {
    /// Reads a session string of Telethon, or of Pyrogram and the projects that continue it (Hydrogram, Kurigram).
    ///
    /// - Throws: `AccountError`, `notImportable`; the message holds nothing of the string.
    package init(string: String) throws(AccountError) {
        // Session strings are ASCII; what surrounds them when they are copied is, too.
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        let text = string.utf8.lastIndex { !isSpace($0) }.map { String(string[...$0].drop { $0.isWhitespace }) } ?? ""
        if text.hasPrefix("1"), let bytes = Base64.decodeForURLs(String(text.dropFirst())),
            let session = AccountSession(telethon: bytes)
        {
            self = session
        } else if let bytes = Base64.decodeForURLs(text), let session = AccountSession(pyrogram: bytes) {
            self = session
        } else {
            throw AccountError(.notImportable, "this is not a session string of Telethon, Pyrogram or Hydrogram")
        }
    }

    /// Reads data centre, address (4 or 16 bytes), port and key.
    private init?(telethon bytes: [UInt8]) {
        guard bytes.count == 263 || bytes.count == 275, let key = AuthKey(Array(bytes.suffix(256))) else { return nil }
        let address = Array(bytes[1..<bytes.count - 258])
        let port = Int(bytes[bytes.count - 258]) << 8 | Int(bytes[bytes.count - 257])
        guard (1...9).contains(bytes[0]), port > 0, key.isMade else { return nil }
        self.init(
            dataCenter: Int(bytes[0]), key: key, address: ServerAddress(AccountSession.text(address), port))
    }

    /// Reads data centre, api_id (newer strings only), test flag, key, user id and bot flag.
    private init?(pyrogram bytes: [UInt8]) {
        let (start, idCount): (Int, Int)
        switch bytes.count {
        case 271: (start, idCount) = (5, 8)
        case 267: (start, idCount) = (1, 8)
        case 263: (start, idCount) = (1, 4)
        default: return nil
        }
        let keyStart = start + 1
        guard (1...9).contains(bytes[0]), bytes[start] < 2, let last = bytes.last, last < 2,
            let key = AuthKey(Array(bytes[keyStart..<keyStart + 256])), key.isMade
        else { return nil }
        let id = bytes[(keyStart + 256)..<(keyStart + 256 + idCount)].reduce(Int64(0)) { $0 << 8 | Int64($1) }
        self.init(
            dataCenter: Int(bytes[0]), key: key, isTest: bytes[start] == 1, userID: id > 0 ? id : nil, isBot: last == 1)
    }

    /// The session as a string for Telethon; nil without a key or an IP address, and for a data centre number that does
    /// not fit the format.
    package var telethonString: String? { telethonString(servers: [:]) }

    /// Returns the session as a string for Telethon, which contains the address of the data centre.
    ///
    /// - Parameter servers: addresses by data centre that are used instead of Telegram's.
    package func telethonString(servers: [Int: [ServerAddress]]) -> String? {
        let own = servers.isEmpty ? addresses(of: dataCenter) : servers[dataCenter] ?? []
        guard let key, let number = UInt8(exactly: dataCenter), let address = own.first,
            let host = AccountSession.bytes(address.host)
        else { return nil }
        let port = [UInt8(address.port >> 8 & 255), UInt8(address.port & 255)]
        return "1" + Base64.encodeForURLs([number] + host + port + key.bytes, isPadded: true)
    }

    /// Returns the string for Pyrogram and Hydrogram; nil without a key or a known user, and for numbers that do not fit the format.
    package func pyrogramString(apiID: Int) -> String? {
        guard let key, let number = UInt8(exactly: dataCenter), let userID, let api = UInt32(exactly: apiID) else {
            return nil
        }
        let application = withUnsafeBytes(of: api.bigEndian) { Array($0) }
        let user = withUnsafeBytes(of: userID.bigEndian) { Array($0) }
        let bytes = [number] + application + [isTest ? 1 : 0] + key.bytes + user + [isBot ? 1 : 0]
        return Base64.encodeForURLs(bytes, isPadded: false)
    }

    /// Returns an IP address in the usual notation.
    private static func text(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return ""
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func bytes(_ host: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, host, &bytes) == 1 { return Array(bytes[..<4]) }
        return inet_pton(AF_INET6, host, &bytes) == 1 ? bytes : nil
    }
}

extension AuthKey {
    /// Is true if the key was made: other libraries write zeros before a login.
    var isMade: Bool { bytes.contains { $0 != 0 } }
}
