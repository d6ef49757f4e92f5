import COpenSSL

/// Computes hashes of bytes that lie in several places.
package enum Hash {
    /// Loads libcrypto now, so that a missing one ends the tool before it has read an event.
    package static func loadLibrary() { _ = EVP_sha256() }

    package static func sha1(_ pieces: ArraySlice<UInt8>...) -> [UInt8] {
        RunningHash(EVP_sha1(), count: 20).hash(of: pieces)
    }

    package static func sha256(_ pieces: ArraySlice<UInt8>...) -> [UInt8] {
        RunningHash(EVP_sha256(), count: 32).hash(of: pieces)
    }
}

/// Computes the SHA-256 of bytes that arrive piece by piece.
package struct SHA256: ~Copyable {
    private let hash = RunningHash(EVP_sha256(), count: 32)

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }

    /// Returns the hash of all bytes so far in lower-case hex, and starts over.
    package mutating func finish() -> String { hex(hash.finish()) }

    package static func hexDigest(_ bytes: some Collection<UInt8>) -> String {
        var hash = SHA256()
        Array(bytes).withUnsafeBytes { hash.update($0) }
        return hash.finish()
    }

    /// Returns whether `text` can be a SHA-256: 64 digits of lower-case hex.
    package static func isHexDigest(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}

/// Computes the MD5 of bytes that arrive piece by piece. Telegram requires it for small files; it does not protect the
/// data.
package struct MD5: ~Copyable {
    private let hash = RunningHash(EVP_md5(), count: 16)

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }

    /// Returns the hash of all bytes so far in lower-case hex, and starts over.
    package mutating func finish() -> String { hex(hash.finish()) }
}

/// A hash of libcrypto in progress, freed with the object.
private final class RunningHash {
    private let context: OpaquePointer
    private let kind: OpaquePointer?
    private let count: Int

    /// - Parameter count: the hash's size in bytes.
    init(_ kind: OpaquePointer?, count: Int) {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, kind, nil) == 1 else {
            fatalError("libcrypto has no memory for a hash")
        }
        (self.context, self.kind, self.count) = (context, kind, count)
    }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) { EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) }

    /// Returns the hash, and starts over.
    func finish() -> [UInt8] {
        defer { EVP_DigestInit_ex(context, kind, nil) }
        return end()
    }

    /// Returns the hash of several pieces; nothing may follow.
    func hash(of pieces: [ArraySlice<UInt8>]) -> [UInt8] {
        for piece in pieces { piece.withUnsafeBytes { update($0) } }
        return end()
    }

    private func end() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            EVP_DigestFinal_ex(context, buffer.baseAddress, nil)
            filled = count
        }
    }
}

/// Returns the HMAC of a message with SHA-256. Source: RFC 2104.
package func hmacSHA256(key: [UInt8], _ message: String) -> [UInt8] {
    let text = Array(message.utf8)
    var code = [UInt8](repeating: 0, count: 32)
    HMAC(EVP_sha256(), key, Int32(key.count), text, text.count, &code, nil)
    return code
}

/// Returns bytes as lower-case hex.
package func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
