import COpenSSL

/// Returns random bytes of libcrypto's generator, fit for keys.
package func secureRandomBytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        guard RAND_bytes(buffer.baseAddress, Int32(count)) == 1 else { fatalError("libcrypto has no random bytes") }
        filled = count
    }
}

/// Compares bytes in a time that does not depend on where they differ.
package func isEqualInConstantTime(_ one: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Bool {
    guard one.count == other.count else { return false }
    return one.withUnsafeBytes { one in
        other.withUnsafeBytes { CRYPTO_memcmp(one.baseAddress, $0.baseAddress, one.count) == 0 }
    }
}

/// Derives 64 bytes from a password with PBKDF2 over HMAC-SHA-512. Source: RFC 8018.
package func passwordDerivedKeySHA512(_ password: [UInt8], salt: [UInt8], iterations: Int) -> [UInt8] {
    var key = [UInt8](repeating: 0, count: 64)
    let characters = password.map(CChar.init(bitPattern:))
    guard
        PKCS5_PBKDF2_HMAC(
            characters, Int32(characters.count), salt, Int32(salt.count), Int32(iterations), EVP_sha512(),
            Int32(key.count), &key) == 1
    else { fatalError("libcrypto has no memory for a hash") }
    return key
}
