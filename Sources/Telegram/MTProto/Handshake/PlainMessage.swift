import TL

/// A message in the clear, as only the handshake sends them.
enum PlainMessage {
    static let headerCount = 20

    static func packet(_ body: [UInt8], messageID: Int64) -> [UInt8] {
        var writer = TLWriter(reserving: headerCount + body.count)
        writer.long(0)
        writer.long(messageID)
        writer.int(Int32(body.count))
        writer.raw(body)
        return writer.bytes
    }

    /// - Parameter packet: of a padded transport, up to 15 bytes too long.
    /// - Throws: `MTProtoError`, `protocolBroken`.
    static func body(of packet: [UInt8]) throws(MTProtoError) -> ArraySlice<UInt8> {
        let (header, content) = (packet.prefix(headerCount), packet.dropFirst(headerCount))
        let (keyID, messageID, count) = try reading("a message in the clear", header) {
            (reader) throws(TLError) -> (Int64, Int64, Int) in
            (try reader.long(), try reader.long(), Int(try reader.int()))
        }
        guard keyID == 0, messageID & 1 == 1 else { throw .broken("its answer to the key exchange is no answer") }
        guard count > 0, count & 3 == 0, content.count >= count, content.count - count < 16 else {
            throw .broken("a message in the clear that has not the length of its packet")
        }
        return content.prefix(count)
    }
}
