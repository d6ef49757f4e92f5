import COpenSSL

/// Encrypts and decrypts a stream with AES-256 in counter mode; each call continues where the last one ended.
///
/// Only one thread at a time may use it.
package final class StreamCipher {
    private let context: OpaquePointer

    /// - Parameters:
    ///   - key: 32 bytes.
    ///   - vector: the counter's first value, 16 bytes.
    package init(key: [UInt8], vector: [UInt8]) {
        precondition(key.count == 32 && vector.count == 16)
        guard let context = EVP_CIPHER_CTX_new(),
            EVP_EncryptInit_ex(context, EVP_aes_256_ctr(), nil, key, vector) == 1
        else { fatalError("libcrypto has no memory for a cipher") }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    /// Encrypts or decrypts, which is the same operation, the bytes from `start` to the end, in place.
    package func apply(_ bytes: inout [UInt8], from start: Int = 0) {
        bytes[start...].withUnsafeMutableBytes { buffer in
            let first = buffer.bindMemory(to: UInt8.self).baseAddress
            var count: Int32 = 0
            EVP_EncryptUpdate(context, first, &count, first, Int32(buffer.count))
        }
    }
}
