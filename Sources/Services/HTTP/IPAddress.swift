package import Glibc

/// Holds an IPv4 or IPv6 address.
package struct IPAddress: Sendable, Hashable {
    /// The 4 or 16 bytes, in network order.
    package let bytes: [UInt8]

    /// Reads the usual text of an address (`192.0.2.1`, `2001:db8::1`); nil for other text.
    package init?(_ text: String) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            bytes = withUnsafeBytes(of: &v4) { Array($0) }
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            bytes = withUnsafeBytes(of: &v6) { Array($0) }
        } else {
            return nil
        }
    }

    /// Reads the address of an IP socket address; nil for another family.
    package init?(_ address: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            bytes = withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in.self).sin_addr) { Array($0) }
        case AF_INET6:
            bytes = withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr) { Array($0) }
        default:
            return nil
        }
    }

    /// Is true if this is an address of the public internet: not loopback, private, link-local, shared (CGNAT),
    /// unique-local, multicast, documentation, reserved or a cloud's metadata service, in none of the forms that
    /// carry IPv4 in IPv6.
    ///
    /// Source: the IANA special-purpose address registries (RFC 6890).
    package var isPublic: Bool {
        bytes.count == 4 ? IPAddress.isPublicV4(bytes[...]) : isPublicV6
    }

    private var isPublicV6: Bool {
        func starts(_ prefix: [UInt8]) -> Bool { bytes.starts(with: prefix) }
        let zeros = [UInt8](repeating: 0, count: 10)
        if starts(zeros + [0xff, 0xff]) || starts([0, 0x64, 0xff, 0x9b] + zeros.prefix(8)) {
            return IPAddress.isPublicV4(bytes[12...])  // IPv4-mapped; NAT64
        }
        if starts([0x20, 0x02]) { return IPAddress.isPublicV4(bytes[2..<6]) }  // 6to4
        guard bytes[0] & 0xe0 == 0x20 else { return false }  // only 2000::/3 is handed out
        let isProtocolRange = starts([0x20, 0x01]) && bytes[2] < 2  // 2001::/23: Teredo, ORCHID, benchmarks
        let isDocumentation = starts([0x20, 0x01, 0x0d, 0xb8]) || (starts([0x3f, 0xff]) && bytes[2] < 0x10)
        return !isProtocolRange && !isDocumentation
    }

    /// The address itself, or the IPv4 address that it carries as an IPv4-mapped, NAT64 or 6to4 address. Both lead to the same
    /// machine.
    package var carried: IPAddress {
        let zeros = [UInt8](repeating: 0, count: 10)
        guard bytes.count == 16 else { return self }
        if bytes.starts(with: zeros + [0xff, 0xff]) || bytes.starts(with: [0, 0x64, 0xff, 0x9b] + zeros.prefix(8)) {
            return IPAddress(bytes: Array(bytes[12...]))
        }
        return bytes.starts(with: [0x20, 0x02]) ? IPAddress(bytes: Array(bytes[2..<6])) : self
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private static func isPublicV4(_ address: ArraySlice<UInt8>) -> Bool {
        let value = address.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return !reservedV4.contains { network, length in value >> (32 - length) == network >> (32 - length) }
    }

    private static let reservedV4: [(UInt32, UInt32)] = [
        (0x0000_0000, 8),  // this network
        (0x0a00_0000, 8),  // private
        (0x6440_0000, 10),  // shared with carriers
        (0x7f00_0000, 8),  // loopback
        (0xa9fe_0000, 16),  // link-local, metadata services
        (0xa83f_8110, 32),  // a cloud's metadata service on a public address (168.63.129.16)
        (0xac10_0000, 12),  // private
        (0xc000_0000, 24),  // protocol assignments
        (0xc000_0200, 24),  // documentation
        (0xc058_6300, 24),  // 6to4 relays
        (0xc0a8_0000, 16),  // private
        (0xc612_0000, 15),  // benchmarks
        (0xc633_6400, 24),  // documentation
        (0xcb00_7100, 24),  // documentation
        (0xe000_0000, 4),  // multicast
        (0xf000_0000, 4),  // reserved, broadcast
    ]
}
