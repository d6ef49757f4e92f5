import Crypto

/// An authorisation key: 2048 bits that the server and this side share. It gives full access to the account.
///
/// Its description shows only its id.
package struct AuthKey: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The key's 256 bytes. Secret.
    package let bytes: [UInt8]
    /// The number by which the server finds the key; not secret.
    package let id: Int64
    /// The part of the key's hash that proves, during the key exchange, that the server has the same key.
    let auxHash: ArraySlice<UInt8>

    /// Makes a key from its bytes; nil unless there are 256 of them.
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
