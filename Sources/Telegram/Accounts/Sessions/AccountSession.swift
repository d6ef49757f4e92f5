package import MTProto

/// An account's session: its data centre, and the keys that are authorised for it. Secret.
package struct AccountSession: Sendable, Equatable {
    /// The account's home data centre, 1 to 5.
    package var dataCenter: Int
    package var isTest: Bool
    /// The keys by data centre. The home data centre's key is the account's own; the others are for files.
    package var keys: [Int: AuthKey]
    /// The last known salts by data centre; not secret. An outdated salt costs one more round trip.
    package var salts: [Int: Int64] = [:]
    /// Addresses of data centres that are newer than those of `DataCenters`.
    package var addresses: [Int: ServerAddress]
    /// The account's id; nil while it is not known.
    package var userID: Int64?
    package var isBot: Bool
    /// The fingerprint of the public key of the servers that made the keys: Telegram's own, its test servers, or others.
    /// Nil while it is not known, as for an imported session that was not used yet.
    package var serverKey: Int64?

    package init(
        dataCenter: Int, key: AuthKey, isTest: Bool = false, address: ServerAddress? = nil, userID: Int64? = nil,
        isBot: Bool = false
    ) {
        (self.dataCenter, self.isTest, self.userID, self.isBot) = (dataCenter, isTest, userID, isBot)
        keys = [dataCenter: key]
        addresses = address.map { [dataCenter: $0] } ?? [:]
    }

    /// Makes a session without a key, for a login.
    package init(unauthorizedAt dataCenter: Int, isTest: Bool = false) {
        (self.dataCenter, self.isTest, userID, isBot) = (dataCenter, isTest, nil, false)
        (keys, addresses) = ([:], [:])
    }

    /// The account's own key.
    package var key: AuthKey? { keys[dataCenter] }

    /// Returns the addresses to connect to, the best known first. Those that Telegram's applications contain are among
    /// them, unless the session is of other servers.
    package func addresses(of dataCenter: Int, isIPv6: Bool = false) -> [ServerAddress] {
        let known = addresses[dataCenter].map { [$0] } ?? []
        if let serverKey, serverKey != ServerKey.own(isTest: isTest).fingerprint { return known }
        return known
            + DataCenters.addresses(of: dataCenter, isTest: isTest, isIPv6: isIPv6).filter { !known.contains($0) }
    }
}

/// The addresses of the data centres that Telegram's own applications contain; `help.getConfig` returns the current ones.
package enum DataCenters {
    private static let production = [
        1: ("149.154.175.53", "2001:b28:f23d:f001::a"), 2: ("149.154.167.51", "2001:67c:4e8:f002::a"),
        3: ("149.154.175.100", "2001:b28:f23d:f003::a"), 4: ("149.154.167.91", "2001:67c:4e8:f004::a"),
        5: ("91.108.56.130", "2001:b28:f23f:f005::a"),
    ]
    private static let test = [
        1: ("149.154.175.10", "2001:b28:f23d:f001::e"), 2: ("149.154.167.40", "2001:67c:4e8:f002::e"),
        3: ("149.154.175.117", "2001:b28:f23d:f003::e"),
    ]

    /// Returns a data centre's addresses; none when there is no such data centre.
    package static func addresses(of dataCenter: Int, isTest: Bool = false, isIPv6: Bool = false) -> [ServerAddress] {
        (isTest ? test : production)[dataCenter].map { [ServerAddress(isIPv6 ? $0.1 : $0.0, 443)] } ?? []
    }
}
