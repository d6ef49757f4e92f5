import COpenSSL

/// A SHA-256 in the making.
package struct SHA256: ~Copyable {
    private let digest = RunningDigest(EVP_sha256(), count: 32)

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { digest.update(bytes) }

    /// The digest of all that came, in lower-case hex; starts over.
    package mutating func finish() -> String { digest.finish() }

    package static func hexDigest(_ bytes: some Collection<UInt8>) -> String {
        var hash = SHA256()
        Array(bytes).withUnsafeBytes { hash.update($0) }
        return hash.finish()
    }

    /// Whether `text` can be a SHA-256: 64 digits of lower-case hex.
    package static func isHexDigest(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}

/// An MD5 in the making: Telegram wants it of small files. It protects from nothing.
package struct MD5: ~Copyable {
    private let digest = RunningDigest(EVP_md5(), count: 16)

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { digest.update(bytes) }

    /// The digest of all that came, in lower-case hex; starts over.
    package mutating func finish() -> String { digest.finish() }
}

/// A digest of libcrypto that is being made; freed with the object.
final class RunningDigest {
    private let context: OpaquePointer
    private let kind: OpaquePointer?
    private let count: Int

    init(_ kind: OpaquePointer?, count: Int) {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, kind, nil) == 1 else {
            fatalError("libcrypto has no memory for a digest")
        }
        (self.context, self.kind, self.count) = (context, kind, count)
    }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) { EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) }

    func finish() -> String {
        var digest = [UInt8](repeating: 0, count: count)
        EVP_DigestFinal_ex(context, &digest, nil)
        EVP_DigestInit_ex(context, kind, nil)
        return hex(digest)
    }
}

/// Source: RFC 2104, with SHA-256.
package func hmacSHA256(key: [UInt8], _ message: String) -> [UInt8] {
    let text = Array(message.utf8)
    var code = [UInt8](repeating: 0, count: 32)
    HMAC(EVP_sha256(), key, Int32(key.count), text, text.count, &code, nil)
    return code
}

/// Lower-case hex.
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
