import TL

/// The constructors of the key exchange's messages. Source: https://core.telegram.org/mtproto/auth_key
enum HandshakeID {
    static let requestPQ: UInt32 = 0xbe7e_8ef1
    static let answerPQ: UInt32 = 0x0516_2463
    static let innerData: UInt32 = 0xa9f5_5f95
    static let innerDataTemporary: UInt32 = 0x56fd_df88
    static let requestParameters: UInt32 = 0xd712_e4be
    static let parametersFail: UInt32 = 0x79cb_045d
    static let parametersOK: UInt32 = 0xd0e8_075c
    static let serverInnerData: UInt32 = 0xb589_0dba
    static let clientInnerData: UInt32 = 0x6643_b654
    static let setClientParameters: UInt32 = 0xf504_5f1f
    static let ok: UInt32 = 0x3bcb_f734
    static let retry: UInt32 = 0x46dc_1fb9
    static let fail: UInt32 = 0xa69d_ae02
}

/// The nonces of both sides. Each message from the server begins with them.
struct Nonces: Equatable {
    let client: ArraySlice<UInt8>
    let server: ArraySlice<UInt8>

    init(client: [UInt8], server: [UInt8]) { (self.client, self.server) = (client[...], server[...]) }

    init(_ reader: inout TLReader) throws(TLError) { (client, server) = (try reader.raw(16), try reader.raw(16)) }
}

/// `resPQ`.
struct AnswerPQ {
    let nonces: Nonces
    let pq: [UInt8]
    let fingerprints: [Int64]

    init(_ reader: inout TLReader) throws(TLError) {
        try reader.expect(HandshakeID.answerPQ)
        nonces = try Nonces(&reader)
        pq = Array(try reader.bytes())
        fingerprints = try reader.longs()
    }
}

/// `server_DH_params_ok` and `…_fail`.
struct AnswerParameters {
    let nonces: Nonces
    /// The encrypted parameters; nil when the server refuses the exchange.
    let encrypted: ArraySlice<UInt8>?

    init(_ reader: inout TLReader) throws(TLError) {
        let isOK = reader.next == HandshakeID.parametersOK
        try reader.expect(isOK ? HandshakeID.parametersOK : HandshakeID.parametersFail)
        nonces = try Nonces(&reader)
        encrypted = isOK ? try reader.bytes() : nil
        if !isOK { _ = try reader.raw(16) }
    }
}

/// `server_DH_inner_data`.
struct ServerInnerData {
    let nonces: Nonces
    let generator: Int32
    let prime: [UInt8]
    let power: [UInt8]
    /// Seconds since 1970.
    let time: Int32

    init(_ reader: inout TLReader) throws(TLError) {
        try reader.expect(HandshakeID.serverInnerData)
        nonces = try Nonces(&reader)
        generator = try reader.int()
        prime = Array(try reader.bytes())
        power = Array(try reader.bytes())
        time = try reader.int()
    }
}

/// `dh_gen_ok`, `…_retry` and `…_fail`.
struct Conclusion {
    let id: UInt32
    let nonces: Nonces
    let proof: ArraySlice<UInt8>

    init(_ reader: inout TLReader) throws(TLError) {
        id = reader.next ?? 0
        try reader.expect([HandshakeID.retry, HandshakeID.fail].contains(id) ? id : HandshakeID.ok)
        nonces = try Nonces(&reader)
        proof = try reader.raw(16)
    }

    /// The number in the hash that proves the server's knowledge of the key.
    var number: UInt8 {
        switch id {
        case HandshakeID.ok: 1
        case HandshakeID.retry: 2
        default: 3
        }
    }
}

/// Packs and unpacks unencrypted messages, which only the key exchange uses.
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

    /// Returns the body of a packet.
    ///
    /// - Parameter packet: with a padded transport, it may be up to 15 bytes too long.
    /// - Throws: `MTProtoError`, `protocolBroken`.
    static func body(of packet: ArraySlice<UInt8>) throws(MTProtoError) -> ArraySlice<UInt8> {
        let (header, content) = (packet.prefix(headerCount), packet.dropFirst(headerCount))
        let (keyID, messageID, count) = try reading("an unencrypted message", header) {
            (reader) throws(TLError) -> (Int64, Int64, Int) in
            (try reader.long(), try reader.long(), Int(try reader.int()))
        }
        guard keyID == 0, messageID & 1 == 1 else { throw .broken("its message does not belong to a key exchange") }
        guard count > 0, count & 3 == 0, content.count >= count, content.count - count < 16 else {
            throw .broken("it sent an unencrypted message whose length differs from its packet's")
        }
        return content.prefix(count)
    }
}
