import Crypto

/// Makes a connection look like random bytes, which MTProxy servers demand, and which filters do not recognise.
///
/// Source: https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation
struct Obfuscation {
    /// The first bytes of the connection.
    let header: [UInt8]
    let outgoing: StreamCipher
    let incoming: StreamCipher

    /// - Parameters:
    ///   - tag: the tag of the transport.
    ///   - secret: the 16 bytes of an MTProxy's secret; nil without a proxy.
    ///   - dataCenter: the data centre to which an MTProxy shall connect.
    init(tag: [UInt8], secret: [UInt8]?, dataCenter: Int16, _ random: RandomSource) {
        var plain = random.bytes(64)
        while Obfuscation.looksLikeAnother(plain) { plain = random.bytes(64) }
        plain.replaceSubrange(56..<60, with: tag)
        plain[60] = UInt8(truncatingIfNeeded: dataCenter)
        plain[61] = UInt8(truncatingIfNeeded: dataCenter >> 8)
        let reversed = Array(plain[8..<56].reversed())
        outgoing = StreamCipher(key: Obfuscation.key(plain[8..<40], secret), vector: Array(plain[40..<56]))
        incoming = StreamCipher(key: Obfuscation.key(reversed[..<32], secret), vector: Array(reversed[32...]))
        var encrypted = plain
        outgoing.apply(&encrypted)
        header = Array(plain[..<56] + encrypted[56...])
    }

    private static func key(_ bytes: ArraySlice<UInt8>, _ secret: [UInt8]?) -> [UInt8] {
        secret.map { Hash.sha256(bytes, $0[...]) } ?? Array(bytes)
    }

    /// Returns whether a server would mistake the header for the beginning of another transport, of HTTP or of TLS.
    private static func looksLikeAnother(_ bytes: [UInt8]) -> Bool {
        let words: [[UInt8]] = [
            Array("HEAD".utf8), Array("POST".utf8), Array("GET ".utf8), Array("OPTI".utf8), [0x16, 0x03, 0x01, 0x02],
            TransportKind.intermediate.tag, TransportKind.padded.tag,
        ]
        return bytes[0] == 0xef || words.contains(Array(bytes[..<4])) || bytes[4..<8] == [0, 0, 0, 0]
    }
}
