package import MTProto

/// What it takes to be an account: where it lives, and the keys that are authorized for it. Secret.
package struct AccountSession: Sendable, Equatable {
    /// Where the account lives: 1 to 5.
    package var dataCenter: Int
    package var isTest: Bool
    /// By data centre, the account's own among them; the others are for files.
    package var keys: [Int: AuthKey]
    /// What the data centres want in messages, as they told it last; not secret. Old ones cost a question.
    package var salts: [Int: Int64] = [:]
    /// Where the data centres are, as far as it is known better than `DataCenters` does.
    package var addresses: [Int: ServerAddress]
    /// nil: nobody has asked yet.
    package var userID: Int64?
    package var isBot: Bool

    package init(
        dataCenter: Int, key: AuthKey, isTest: Bool = false, address: ServerAddress? = nil, userID: Int64? = nil,
        isBot: Bool = false
    ) {
        (self.dataCenter, self.isTest, self.userID, self.isBot) = (dataCenter, isTest, userID, isBot)
        keys = [dataCenter: key]
        addresses = address.map { [dataCenter: $0] } ?? [:]
    }

    /// One that is still to be logged in: there is no key yet.
    package init(unauthorizedAt dataCenter: Int, isTest: Bool = false) {
        (self.dataCenter, self.isTest, userID, isBot) = (dataCenter, isTest, nil, false)
        (keys, addresses) = ([:], [:])
    }

    /// The account's own key.
    package var key: AuthKey? { keys[dataCenter] }

    /// Where to connect to.
    package func addresses(of dataCenter: Int, isIPv6: Bool = false) -> [ServerAddress] {
        let known = addresses[dataCenter].map { [$0] } ?? []
        return known
            + DataCenters.addresses(of: dataCenter, isTest: isTest, isIPv6: isIPv6).filter { !known.contains($0) }
    }
}

/// The data centres' addresses as they are built into Telegram's own applications; `help.getConfig` tells the present ones.
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

    /// Empty when there is no such data centre.
    package static func addresses(of dataCenter: Int, isTest: Bool = false, isIPv6: Bool = false) -> [ServerAddress] {
        (isTest ? test : production)[dataCenter].map { [ServerAddress(isIPv6 ? $0.1 : $0.0, 443)] } ?? []
    }
}
