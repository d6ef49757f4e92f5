import Glibc

/// Addresses as they are written.
enum IPv6 {
    /// 16 bytes; nil when it is none.
    static func bytes(_ text: String) -> [UInt8]? {
        var address = in6_addr()
        guard inet_pton(AF_INET6, text, &address) == 1 else { return nil }
        return withUnsafeBytes(of: &address) { Array($0) }
    }
}
