import COpenSSL

/// Where random bytes come from; tests have others.
package struct RandomSource: Sendable {
    private let make: @Sendable (Int) -> [UInt8]

    package init(_ make: @escaping @Sendable (Int) -> [UInt8]) { self.make = make }

    /// libcrypto's generator.
    package static let system = RandomSource { count in
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            guard RAND_bytes(buffer.baseAddress, Int32(count)) == 1 else { fatalError("libcrypto has no random bytes") }
            filled = count
        }
    }

    package func bytes(_ count: Int) -> [UInt8] { make(count) }

    package func long() -> Int64 { bytes(8).withUnsafeBytes { $0.loadUnaligned(as: Int64.self) } }

    /// At least 0, and less than `limit`, which is at most 256 and a power of two.
    func small(below limit: Int) -> Int { Int(bytes(1)[0]) & (limit - 1) }
}
