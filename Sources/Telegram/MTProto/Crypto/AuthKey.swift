import Crypto
import Synchronization

/// An authorisation key: 2048 bits that the server and this side share. It gives full access to the account.
///
/// Its description shows only its id.
package struct AuthKey: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The key's 256 bytes. Secret.
    package let bytes: [UInt8]
    /// The SHA-1 of the bytes, which is computed when it is first used. A program that only reads a session file then needs no
    /// libcrypto, whose loading takes longer than a call through the session's owner.
    private let hash = LazyHash()

    /// The number by which the server finds the key; not secret.
    package var id: Int64 {
        hash.value(of: bytes)[12...].withUnsafeBytes { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) }
    }
    /// The part of the key's hash that proves, during the key exchange, that the server has the same key.
    var auxHash: ArraySlice<UInt8> { hash.value(of: bytes)[..<8] }

    /// Makes a key from its bytes; nil unless there are 256 of them.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == AuthKey.byteCount else { return nil }
        self.bytes = bytes
    }

    package static let byteCount = 256

    package var description: String { "key \(String(UInt64(bitPattern: id), radix: 16))" }

    package var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

extension AuthKey {
    package static func == (one: AuthKey, other: AuthKey) -> Bool { one.bytes == other.bytes }
}

/// The SHA-1 of some bytes, computed once for all copies of the value that holds it.
private final class LazyHash: Sendable {
    private final class Known: Sendable {
        let hash: [UInt8]

        init(_ hash: [UInt8]) { self.hash = hash }
    }

    private let known = AtomicLazyReference<Known>()

    func value(of bytes: [UInt8]) -> [UInt8] {
        (known.load() ?? known.storeIfNil(Known(Hash.sha1(bytes[...])))).hash
    }
}
