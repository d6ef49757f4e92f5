import Crypto
import TL

/// A server's public RSA key of 2048 bits, which proves the server's identity during the key exchange.
package struct ServerKey: Sendable, Equatable {
    /// The modulus and the exponent, each with the highest byte first.
    let modulus: [UInt8]
    let exponent: [UInt8]
    /// The lower 64 bits of the SHA-1 of modulus and exponent in TL.
    package let fingerprint: Int64

    init(modulus: [UInt8], exponent: [UInt8]) {
        (self.modulus, self.exponent) = (modulus, exponent)
        var writer = TLWriter()
        writer.bytes(modulus)
        writer.bytes(exponent)
        let hash = Hash.sha1(writer.bytes[...])
        fingerprint = Int64(littleEndian: hash[12...].withUnsafeBytes { $0.loadUnaligned(as: Int64.self) })
    }

    /// Reads a key in PEM, PKCS#1 or X.509 (`BEGIN RSA PUBLIC KEY`, `BEGIN PUBLIC KEY`).
    ///
    /// - Throws: `MTProtoError`, `configuration`.
    package init(pem: String) throws(MTProtoError) {
        guard let key = RSAPublicKey(pem: pem) else {
            throw MTProtoError(.configuration, "the server's key is not a public RSA key in PEM")
        }
        guard key.modulus.count == 256 else {
            throw MTProtoError(.configuration, "the server's key does not have 2048 bits")
        }
        self.init(modulus: key.modulus, exponent: key.exponent)
    }

    /// Encrypts at most 144 bytes, padded so that no other valid ciphertext can be derived from the result.
    ///
    /// Source: https://core.telegram.org/mtproto/auth_key, RSA_PAD.
    func encrypt(_ data: [UInt8], _ random: RandomSource) -> [UInt8] {
        precondition(data.count <= 144)
        let padded = data + random.bytes(192 - data.count)
        let modulus = BigNumber(self.modulus)
        while true {
            let key = random.bytes(32)
            let hashed = padded.reversed() + Hash.sha256(key[...], padded[...])
            let encrypted = MessageCipher(key: key, vector: [UInt8](repeating: 0, count: 32)).encrypted(hashed)
            let hidden = zip(key, Hash.sha256(encrypted[...])).map { $0 ^ $1 }
            let number = BigNumber(hidden + encrypted)
            // One number in about eight is too large.
            if number.isLess(than: modulus) {
                return number.power(BigNumber(exponent), modulo: modulus).bytes(256)
            }
        }
    }
}

extension ServerKey {
    /// The key of Telegram's data centres.
    package static let telegram = ServerKey(
        modulus: hexadecimal(
            "e8bb3305c0b52c6cf2afdf7637313489e63e05268e5badb601af417786472e5f93b85438968e20e6729a301c0afc121b"
                + "f7151f834436f7fda680847a66bf64accec78ee21c0b316f0edafe2f41908da7bd1f4a5107638eeb67040ace472a14f9"
                + "0d9f7c2b7def99688ba3073adb5750bb02964902a359fe745d8170e36876d4fd8a5d41b2a76cbff9a13267eb9580b2d0"
                + "6d10357448d20d9da2191cb5d8c93982961cdfdeda629e37f1fb09a0722027696032fe61ed663db7a37f6f263d370f69"
                + "db53a0dc0a1748bdaaff6209d5645485e6e001d1953255757e4b8e42813347b11da6ab500fd0ace7e6dfa3736199ccaf"
                + "9397ed0745a427dcfa6cd67bcb1acff3"),
        exponent: [1, 0, 1])

    /// The key of Telegram's test servers.
    package static let telegramTest = ServerKey(
        modulus: hexadecimal(
            "c8c11d635691fac091dd9489aedced2932aa8a0bcefef05fa800892d9b52ed03200865c9e97211cb2ee6c7ae96d3fb0e"
                + "15aeffd66019b44a08a240cfdd2868a85e1f54d6fa5deaa041f6941ddf302690d61dc476385c2fa655142353cb4e4b59"
                + "f6e5b6584db76fe8b1370263246c010c93d011014113ebdf987d093f9d37c2be48352d69a1683f8f6e6c2167983c761e"
                + "3ab169fde5daaa12123fa1beab621e4da5935e9c198f82f35eae583a99386d8110ea6bd1abb0f568759f62694419ea5f"
                + "69847c43462abef858b4cb5edc84e7b9226cd7bd7e183aa974a712c079dde85b9dc063b8a5c08e8f859c0ee5dcd824c7"
                + "807f20153361a7f63cfd2a433a1be7f5"),
        exponent: [1, 0, 1])
}

/// Returns the bytes that pairs of hexadecimal digits stand for. The caller guarantees that the text holds nothing else; an odd last
/// digit is ignored.
func hexadecimal(_ text: String) -> [UInt8] {
    let digits = text.utf8.map { UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "9") ? $0 - 0x30 : ($0 | 0x20) - 0x57 }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
