import MTProto

/// `2=127.0.0.1:4430 3=[::1]:4431`: addresses by data centre, for test servers.
enum ServerList {
    /// - Throws: `AccountError`, `configuration`.
    static func read(_ text: String) throws(AccountError) -> [Int: [ServerAddress]] {
        var servers: [Int: [ServerAddress]] = [:]
        for word in text.split(whereSeparator: { $0.isWhitespace || $0 == "," }) {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let number = Int(parts[0]), (1...1000).contains(number),
                let address = address(parts[1])
            else {
                throw AccountError(.configuration, "TG_SERVERS has to be like '2=127.0.0.1:4430 3=[::1]:4431'")
            }
            servers[number, default: []].append(address)
        }
        return servers
    }

    private static func address(_ text: Substring) -> ServerAddress? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { return nil }
        let host = text[..<colon]
        let name = host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host
        return name.isEmpty ? nil : ServerAddress(String(name), Int(port))
    }
}
