import Glibc

/// Decides which addresses a request may connect to. The check is made on the address that is connected to, after name
/// resolution and redirects.
package struct AddressPolicy: Sendable, Equatable {
    /// Is true if only addresses of the public internet are allowed, and none of this machine.
    package let isPublicOnly: Bool
    /// The addresses that are refused in any case.
    package var denied: [AddressRange]

    private init(isPublicOnly: Bool) { (self.isPublicOnly, denied) = (isPublicOnly, []) }

    /// Every address is allowed. Only under this policy proxies of the environment are used, because they would connect to
    /// any address.
    package static let any = AddressPolicy(isPublicOnly: false)
    /// Only addresses of the public internet are allowed, and none of this machine.
    package static let publicOnly = AddressPolicy(isPublicOnly: true)

    /// Returns whether a connection to the address is allowed.
    package func allows(_ address: IPAddress) -> Bool { allows(address, isOwn: OwnAddresses.contain) }

    /// - Parameter isOwn: tells whether an address is one of this machine's; tests replace it.
    func allows(_ address: IPAddress, isOwn: (IPAddress) -> Bool) -> Bool {
        let carried = address.carried
        guard !denied.contains(where: { $0.contains(address) || $0.contains(carried) }) else { return false }
        return !isPublicOnly || (address.isPublic && !isOwn(carried))
    }
}

/// Holds the addresses that begin with the same bits.
package struct AddressRange: Sendable, Equatable {
    private let network: IPAddress
    private let bits: Int

    /// Reads an address, or a network such as `192.0.2.0/24`; nil for other text.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(String(parts[0])) else { return nil }
        let most = address.bytes.count * 8
        guard parts.count == 2 else {
            (network, bits) = (address, most)
            return
        }
        guard let length = Int(parts[1]), (0...most).contains(length) else { return nil }
        (network, bits) = (address, length)
    }

    package func contains(_ address: IPAddress) -> Bool {
        guard address.bytes.count == network.bytes.count else { return false }
        let whole = bits / 8
        guard address.bytes.prefix(whole) == network.bytes.prefix(whole) else { return false }
        let rest = bits % 8
        return rest == 0 || (address.bytes[whole] ^ network.bytes[whole]) >> (8 - rest) == 0
    }
}

/// Knows the addresses of this machine's interfaces. A service that listens at all addresses is reached by the public ones, too.
enum OwnAddresses {
    /// The addresses are read anew each time, because they change.
    static func contain(_ address: IPAddress) -> Bool {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0, let first = list else { return false }
        defer { freeifaddrs(first) }
        return sequence(first: first, next: { $0.pointee.ifa_next }).contains { entry in
            entry.pointee.ifa_addr.flatMap { IPAddress($0) } == address
        }
    }
}
