import COpenSSL

/// Digests as bytes, of pieces that lie in several places.
package enum Hash {
    package static func sha1(_ pieces: ArraySlice<UInt8>...) -> [UInt8] { digest(EVP_sha1(), pieces, count: 20) }

    package static func sha256(_ pieces: ArraySlice<UInt8>...) -> [UInt8] { digest(EVP_sha256(), pieces, count: 32) }

    private static func digest(_ kind: OpaquePointer?, _ pieces: [ArraySlice<UInt8>], count: Int) -> [UInt8] {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, kind, nil) == 1 else {
            fatalError("libcrypto has no memory for a digest")
        }
        defer { EVP_MD_CTX_free(context) }
        for piece in pieces {
            _ = piece.withUnsafeBytes { EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            EVP_DigestFinal_ex(context, buffer.baseAddress, nil)
            filled = count
        }
    }
}
