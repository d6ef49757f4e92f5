import COpenSSL

/// The numbers of a public RSA key, each with the highest byte first.
package struct RSAPublicKey: Sendable, Equatable {
    package let modulus: [UInt8]
    package let exponent: [UInt8]

    package init(modulus: [UInt8], exponent: [UInt8]) { (self.modulus, self.exponent) = (modulus, exponent) }

    /// Reads a key in PEM, PKCS#1 or X.509 (`BEGIN RSA PUBLIC KEY`, `BEGIN PUBLIC KEY`); nil when the text is not such
    /// a key.
    package init?(pem: String) {
        guard let key = ParsedKey(pem: pem), let modulus = key.number(OSSL_PKEY_PARAM_RSA_N),
            let exponent = key.number(OSSL_PKEY_PARAM_RSA_E)
        else { return nil }
        self.init(modulus: modulus, exponent: exponent)
    }
}

/// A key as libcrypto keeps it, freed with the object.
private final class ParsedKey {
    private let key: OpaquePointer

    init?(pem: String) {
        let text = Array(pem.utf8)
        guard let memory = BIO_new_mem_buf(text, Int32(text.count)) else { return nil }
        defer { BIO_free(memory) }
        var (name, header): (UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<CChar>?) = (nil, nil)
        var (content, count): (UnsafeMutablePointer<UInt8>?, Int) = (nil, 0)
        defer {
            ERR_clear_error()
            CRYPTO_free(name, nil, 0)
            CRYPTO_free(header, nil, 0)
            CRYPTO_free(content, nil, 0)
        }
        guard PEM_read_bio(memory, &name, &header, &content, &count) == 1, let name else { return nil }
        var position = UnsafePointer(content)
        let parsed =
            switch String(cString: name) {
            case "RSA PUBLIC KEY": d2i_PublicKey(tgp_key_type_rsa(), nil, &position, count)
            case "PUBLIC KEY": d2i_PUBKEY(nil, &position, count)
            default: nil as OpaquePointer?
            }
        guard let parsed else { return nil }
        key = parsed
    }

    deinit { EVP_PKEY_free(key) }

    /// Returns a number of the key; nil for a key of another kind.
    func number(_ name: String) -> [UInt8]? {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, name, &number) == 1, let number else { return nil }
        defer { BN_free(number) }
        let count = (Int(BN_num_bits(number)) + 7) / 8
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = Int(BN_bn2bin(number, buffer.baseAddress))
        }
    }
}
