import COpenSSL
import Digest

/// An authorization key: 2048 bits that the server and this side share. Whoever has it is the account.
///
/// What prints it shows its id only.
package struct AuthKey: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// 256 of them. Secret.
    package let bytes: [UInt8]
    /// By which the server finds it; not secret.
    package let id: Int64
    /// What proves the knowledge of a key while it is made.
    let auxHash: ArraySlice<UInt8>

    /// - Returns: nil unless there are 256 bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == AuthKey.byteCount else { return nil }
        self.bytes = bytes
        let hash = Hash.sha1(bytes[...])
        id = Int64(littleEndian: hash[12...].withUnsafeBytes { $0.loadUnaligned(as: Int64.self) })
        auxHash = hash[..<8]
    }

    package static let byteCount = 256

    package var description: String { "key \(String(UInt64(bitPattern: id), radix: 16))" }

    package var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

/// Compares without telling by its duration where the difference is.
func isEqual(_ one: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Bool {
    guard one.count == other.count else { return false }
    return one.withUnsafeBytes { one in
        other.withUnsafeBytes { CRYPTO_memcmp(one.baseAddress, $0.baseAddress, one.count) == 0 }
    }
}
