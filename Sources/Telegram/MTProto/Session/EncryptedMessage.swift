import Crypto
import TL

/// Encrypts and decrypts messages of MTProto 2.0. Source: https://core.telegram.org/mtproto/description
struct EncryptedMessage {
    /// The bytes of the unencrypted part: the key's id and the message key.
    private static let outerCount = 24
    /// The bytes of the encrypted header: salt, session, the message's id, sequence number and length.
    private static let innerCount = 32
    static let paddingCounts = 12...1024

    var salt: Int64
    var sessionID: Int64
    var id: Int64
    var sequence: Int32
    var body: ArraySlice<UInt8>

    struct Sealed {
        let packet: [UInt8]
        /// The token that the server sends when it has received the packet, if a quick acknowledgement was requested.
        let quickAckToken: UInt32
    }

    func sealed(_ key: AuthKey, _ random: RandomSource, as writer: MessageCipher.Writer = .client) -> Sealed {
        let (outer, inner) = (EncryptedMessage.outerCount, EncryptedMessage.innerCount)
        let least = 12 + (-(inner + body.count + 12) & 15)
        let padding = random.bytes(least + 16 * random.small(below: 8))
        var packet = TLWriter(reserving: outer + inner + body.count + padding.count)
        packet.long(key.id)
        packet.raw(repeatElement(0, count: 16))
        packet.long(salt)
        packet.long(sessionID)
        packet.long(id)
        packet.int(sequence)
        packet.int(Int32(body.count))
        packet.raw(body)
        packet.raw(padding)
        var bytes = packet.take()
        let digest = Hash.sha256(EncryptedMessage.hashedFirst(key, writer), bytes[outer...])
        for (place, byte) in zip(8..<outer, digest[8..<24]) { bytes[place] = byte }
        MessageCipher(key, messageKey: digest[8..<24], from: writer).encrypt(&bytes, outer..<bytes.count)
        let token = digest.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) } | 1 << 31
        return Sealed(packet: bytes, quickAckToken: token)
    }

    /// Decrypts a packet, and checks everything that does not need the session's state.
    ///
    /// - Parameter packet: with a padded transport, it may be up to 15 bytes too long.
    /// - Throws: `MTProtoError`, `protocolBroken`.
    init(
        opening packet: ArraySlice<UInt8>, _ key: AuthKey, from writer: MessageCipher.Writer = .server
    ) throws(MTProtoError) {
        let outer = EncryptedMessage.outerCount
        let count = (packet.count - outer) & ~15
        guard count >= 48 else { throw .broken("it sent a message that is too short") }
        guard packet.withUnsafeBytes({ Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) }) == key.id else {
            throw .broken("it sent a message encrypted with another key")
        }
        let messageKey = packet.dropFirst(8).prefix(16)
        let (plain, digest) = MessageCipher(key, messageKey: messageKey, from: writer).opened(
            packet.dropFirst(outer).prefix(count), hashedAfter: EncryptedMessage.hashedFirst(key, writer))
        guard isEqualInConstantTime(digest[8..<24], messageKey) else {
            throw .broken("it sent a message that was altered on the way")
        }
        self = try reading("a message", plain[...]) { (reader) throws(TLError) in
            try EncryptedMessage(inner: &reader)
        }
        let padding = plain.count - EncryptedMessage.innerCount - body.count
        guard body.count >= 4, body.count % 4 == 0, EncryptedMessage.paddingCounts.contains(padding) else {
            throw .broken("it sent a message with a wrong length or wrong padding")
        }
    }

    init(salt: Int64, sessionID: Int64, id: Int64, sequence: Int32, body: ArraySlice<UInt8>) {
        (self.salt, self.sessionID, self.id, self.sequence, self.body) = (salt, sessionID, id, sequence, body)
    }

    private init(inner reader: inout TLReader) throws(TLError) {
        (salt, sessionID, id) = (try reader.long(), try reader.long(), try reader.long())
        sequence = try reader.int()
        body = try reader.raw(Int(try reader.int()))
        _ = try reader.raw(reader.rest.count)
    }

    /// Returns the part of the key that is hashed before a message. The middle of that SHA-256 is the message key.
    private static func hashedFirst(_ key: AuthKey, _ writer: MessageCipher.Writer) -> ArraySlice<UInt8> {
        let start = 88 + writer.rawValue
        return key.bytes[start..<start + 32]
    }
}
