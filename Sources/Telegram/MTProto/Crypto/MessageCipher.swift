import CAES
import Crypto

/// Encrypts and decrypts one message with AES-256 in the mode IGE.
struct MessageCipher {
    private let key: [UInt8]
    private let vector: [UInt8]

    init(key: [UInt8], vector: [UInt8]) {
        precondition(key.count == 32 && vector.count == 32)
        (self.key, self.vector) = (key, vector)
    }

    /// Encrypts in place.
    ///
    /// - Parameter range: must hold a whole number of blocks of 16 bytes.
    func encrypt(_ bytes: inout [UInt8], _ range: Range<Int>) {
        precondition(range.count % 16 == 0 && range.lowerBound >= 0 && range.upperBound <= bytes.count)
        var vector = vector
        // A slice of the array would be a copy.
        bytes.withUnsafeMutableBufferPointer { buffer in
            let start = buffer.baseAddress.map { $0 + range.lowerBound }
            tgp_aes_ige_encrypt(key, &vector, start, start, range.count)
        }
    }

    func encrypted(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        encrypt(&bytes, 0..<bytes.count)
        return bytes
    }

    /// Decrypts bytes, which must be a whole number of blocks of 16.
    func decrypted(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        precondition(bytes.count % 16 == 0)
        var vector = vector
        return [UInt8](unsafeUninitializedCapacity: bytes.count) { plain, count in
            bytes.withUnsafeBytes { buffer in
                let start = buffer.bindMemory(to: UInt8.self).baseAddress
                tgp_aes_ige_decrypt(key, &vector, start, plain.baseAddress, buffer.count)
            }
            count = bytes.count
        }
    }

    /// Decrypts a message, and computes its digest in the same pass.
    ///
    /// - Parameters:
    ///   - bytes: a whole number of blocks of 16 bytes, at least two.
    ///   - prefix: the 32 bytes that are hashed before the decrypted ones.
    /// - Returns: the decrypted bytes, and the SHA-256 of `prefix` and these bytes.
    func opened(_ bytes: ArraySlice<UInt8>, hashedAfter prefix: ArraySlice<UInt8>) -> (
        plain: [UInt8], digest: [UInt8]
    ) {
        precondition(bytes.count % 16 == 0 && bytes.count >= 32 && prefix.count == 32)
        var digest = [UInt8](repeating: 0, count: 32)
        let plain = [UInt8](unsafeUninitializedCapacity: bytes.count) { plain, count in
            bytes.withUnsafeBufferPointer { encrypted in
                prefix.withUnsafeBufferPointer { prefix in
                    tgp_aes_ige_open(
                        key, vector, prefix.baseAddress, encrypted.baseAddress, plain.baseAddress, encrypted.count,
                        &digest)
                }
            }
            count = bytes.count
        }
        return (plain, digest)
    }
}

extension MessageCipher {
    /// The side that wrote a message; each direction uses other parts of the key. The value is the offset in the key.
    enum Writer: Int {
        case client = 0
        case server = 8
    }

    /// Derives the cipher of a message of MTProto 2.0.
    ///
    /// Source: https://core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector
    init(_ authKey: AuthKey, messageKey: ArraySlice<UInt8>, from writer: Writer) {
        let (key, x) = (authKey.bytes, writer.rawValue)
        let a = Hash.sha256(messageKey, key[x..<x + 36])
        let b = Hash.sha256(key[x + 40..<x + 76], messageKey)
        self.init(
            key: Array(a[0..<8] + b[8..<24] + a[24..<32]), vector: Array(b[0..<8] + a[8..<24] + b[24..<32]))
    }

    /// Derives the cipher of a message of MTProto 1.0, which binding a temporary key still requires.
    init(version1 authKey: AuthKey, messageKey: ArraySlice<UInt8>) {
        let key = authKey.bytes
        let a = Hash.sha1(messageKey, key[0..<32])
        let b = Hash.sha1(key[32..<48], messageKey, key[48..<64])
        let c = Hash.sha1(key[64..<96], messageKey)
        let d = Hash.sha1(messageKey, key[96..<128])
        self.init(
            key: Array(a[0..<8] + b[8..<20] + c[4..<16]), vector: Array(a[8..<20] + b[0..<8] + c[16..<20] + d[0..<8]))
    }

    /// Derives the cipher of the key exchange. Source: https://core.telegram.org/mtproto/auth_key
    init(newNonce: [UInt8], serverNonce: [UInt8]) {
        let a = Hash.sha1(newNonce[...], serverNonce[...])
        let b = Hash.sha1(serverNonce[...], newNonce[...])
        let c = Hash.sha1(newNonce[...], newNonce[...])
        self.init(key: a + b[..<12], vector: Array(b[12..<20] + c + newNonce[..<4]))
    }
}
