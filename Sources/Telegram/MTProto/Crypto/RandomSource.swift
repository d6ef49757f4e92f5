import Crypto

/// A source of random bytes; tests use predictable ones.
package struct RandomSource: Sendable {
    private let make: @Sendable (Int) -> [UInt8]

    package init(_ make: @escaping @Sendable (Int) -> [UInt8]) { self.make = make }

    /// The generator of libcrypto, which is fit for keys.
    package static let system = RandomSource { secureRandomBytes($0) }

    package func bytes(_ count: Int) -> [UInt8] { make(count) }

    package func long() -> Int64 { bytes(8).withUnsafeBytes { $0.loadUnaligned(as: Int64.self) } }

    /// Returns a number from 0 up to, but not including, `limit`, which must be a power of two and at most 256.
    func small(below limit: Int) -> Int { Int(bytes(1)[0]) & (limit - 1) }
}
