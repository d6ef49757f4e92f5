import COpenSSL

/// A key that is derived from a passphrase with scrypt (RFC 7914), for AES-256-GCM.
package struct PassphraseKey: Sendable, Equatable {
    /// The cost of one attempt to guess the passphrase. The memory is 1024 times this number of bytes.
    package static let cost = 1 << 15
    /// The costs that are accepted from a file: less would be a weakness, more would stop the program.
    package static let acceptedCosts = 1 << 14...1 << 18
    package static let saltBytes = 16

    package let salt: [UInt8]
    package let cost: Int
    private let key: [UInt8]

    /// Derives the key, which takes about a tenth of a second.
    ///
    /// - Returns: nil for a cost that is not accepted, or without memory.
    package init?(_ passphrase: String, salt: [UInt8] = secureRandomBytes(saltBytes), cost: Int = PassphraseKey.cost) {
        guard PassphraseKey.acceptedCosts.contains(cost), cost.nonzeroBitCount == 1 else { return nil }
        var key = [UInt8](repeating: 0, count: 32)
        let characters = passphrase.utf8.map(CChar.init(bitPattern:))
        let result = EVP_PBE_scrypt(
            characters, characters.count, salt, salt.count, UInt64(cost), 8, 1, UInt64(cost) * 2048, &key, key.count)
        guard result == 1 else { return nil }
        (self.salt, self.cost, self.key) = (salt, cost, key)
    }

    private static let nonceBytes = 12
    private static let tagBytes = 16

    /// Encrypts and authenticates bytes: a random nonce of 12 bytes, the ciphertext, and a tag of 16 bytes.
    package func seal(_ bytes: [UInt8]) -> [UInt8] {
        let nonce = secureRandomBytes(PassphraseKey.nonceBytes)
        guard let sealed = apply(bytes, nonce: nonce, tag: nil) else {
            fatalError("libcrypto has no memory for a cipher")
        }
        return nonce + sealed
    }

    /// Decrypts what `seal` returned; nil if the key is another one, or the bytes were changed.
    package func open(_ sealed: [UInt8]) -> [UInt8]? {
        guard sealed.count >= PassphraseKey.nonceBytes + PassphraseKey.tagBytes else { return nil }
        let body = sealed.dropFirst(PassphraseKey.nonceBytes).dropLast(PassphraseKey.tagBytes)
        return apply(
            Array(body), nonce: Array(sealed.prefix(PassphraseKey.nonceBytes)),
            tag: Array(sealed.suffix(PassphraseKey.tagBytes)))
    }

    /// Encrypts and appends the tag if `tag` is nil; otherwise decrypts, and returns nil for a wrong tag.
    private func apply(_ bytes: [UInt8], nonce: [UInt8], tag: [UInt8]?) -> [UInt8]? {
        guard let context = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        guard let count = Int32(exactly: bytes.count),
            EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, key, nonce, tag == nil ? 1 : 0) == 1
        else { return nil }
        var output = [UInt8](repeating: 0, count: bytes.count)
        var written: Int32 = 0
        guard EVP_CipherUpdate(context, &output, &written, bytes, count) == 1 else { return nil }
        var tag = tag ?? []
        if !tag.isEmpty {
            guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1 else { return nil }
        }
        var rest = [UInt8](repeating: 0, count: PassphraseKey.tagBytes)
        guard EVP_CipherFinal_ex(context, &rest, &written) == 1 else { return nil }
        guard tag.isEmpty else { return output }
        guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(rest.count), &rest) == 1 else { return nil }
        return output + rest
    }
}
