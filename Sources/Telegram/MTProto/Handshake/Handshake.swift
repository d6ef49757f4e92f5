import Crypto
import TL

/// Creates an authorisation key together with a server. It is a state machine that turns received messages into
/// messages to send, all of them unencrypted.
///
/// It makes every check that the protocol demands of a client, and ends with `protocolBroken` when one fails.
/// Source: https://core.telegram.org/mtproto/auth_key
struct Handshake {
    enum Kind: Sendable, Equatable {
        case permanent
        /// A key with a limited life, to be bound to a permanent key.
        case temporary(seconds: Int32)
    }

    enum Step {
        case send([UInt8])
        case done(Outcome)
    }

    struct Outcome: Sendable {
        let key: AuthKey
        let salt: Int64
        /// The server's clock when it answered, in seconds since 1970.
        let serverTime: Int32
    }

    private enum State {
        case pq
        case parameters
        case conclusion(Exchange)
        case over
    }

    /// The most secrets to try, because the server may reject a secret (`dh_gen_retry`).
    static let maxAttempts = 5

    private let kind: Kind
    private let dataCenter: Int32
    private let keys: [ServerKey]
    private let random: RandomSource
    private let nonce: [UInt8]
    private let newNonce: [UInt8]
    private var serverNonce: [UInt8] = []
    private var state = State.pq

    /// - Parameters:
    ///   - dataCenter: the data centre's number; 10000 more for a test server, negative for a media server.
    ///   - keys: the server keys that are trusted.
    init(_ kind: Kind, dataCenter: Int32, keys: [ServerKey], random: RandomSource) {
        (self.kind, self.dataCenter, self.keys, self.random) = (kind, dataCenter, keys, random)
        nonce = random.bytes(16)
        newNonce = random.bytes(32)
    }

    /// The first message to send.
    var opening: [UInt8] {
        var writer = TLWriter()
        writer.word(HandshakeID.requestPQ)
        writer.raw(nonce)
        return writer.bytes
    }

    mutating func receive(_ body: ArraySlice<UInt8>) throws(MTProtoError) -> Step {
        let state = self.state
        self.state = .over
        switch state {
        case .pq: return .send(try requestParameters(body))
        case .parameters: return .send(try exchange(body))
        case .conclusion(let exchange): return try conclude(body, exchange)
        case .over: throw .broken("it sent a message after the end of the key exchange")
        }
    }

    private mutating func requestParameters(_ body: ArraySlice<UInt8>) throws(MTProtoError) -> [UInt8] {
        let answer = try reading("an answer to req_pq_multi", body, AnswerPQ.init)
        guard answer.nonces.client == nonce[...] else { throw .broken("it returned a different nonce") }
        serverNonce = Array(answer.nonces.server)
        guard let key = keys.first(where: { answer.fingerprints.contains($0.fingerprint) }) else {
            throw .broken("it has none of the RSA keys that this program trusts")
        }
        guard answer.pq.count <= 8, let factors = Factors(of: answer.pq.reduce(0) { $0 << 8 | UInt64($1) }) else {
            throw .broken("its pq is not a product of two primes")
        }
        state = .parameters
        let (p, q) = (bytes(of: factors.smaller), bytes(of: factors.larger))
        var writer = TLWriter()
        writer.word(HandshakeID.requestParameters)
        writer.raw(nonce)
        writer.raw(serverNonce)
        writer.bytes(p)
        writer.bytes(q)
        writer.long(key.fingerprint)
        writer.bytes(key.encrypt(innerData(pq: answer.pq, p, q), random))
        return writer.bytes
    }

    private func innerData(pq: [UInt8], _ p: [UInt8], _ q: [UInt8]) -> [UInt8] {
        var writer = TLWriter()
        writer.word(kind == .permanent ? HandshakeID.innerData : HandshakeID.innerDataTemporary)
        // The number is sent without leading zeros, even if the server sent some.
        writer.bytes(pq.drop { $0 == 0 })
        writer.bytes(p)
        writer.bytes(q)
        writer.raw(nonce)
        writer.raw(serverNonce)
        writer.raw(newNonce)
        writer.int(dataCenter)
        if case .temporary(let seconds) = kind { writer.int(seconds) }
        return writer.bytes
    }

    private mutating func exchange(_ body: ArraySlice<UInt8>) throws(MTProtoError) -> [UInt8] {
        let answer = try reading("an answer to req_DH_params", body, AnswerParameters.init)
        try check(answer.nonces)
        guard let encrypted = answer.encrypted else { throw .broken("it rejected the key exchange") }
        guard encrypted.count >= 32, encrypted.count % 16 == 0 else {
            throw .broken("its encrypted parameters are not a whole number of blocks")
        }
        let cipher = MessageCipher(newNonce: newNonce, serverNonce: serverNonce)
        let inner = try open(cipher.decrypted(encrypted))
        try check(inner.nonces)
        var exchange = try Exchange(inner, cipher)
        let request = try exchange.answer(Nonces(client: nonce, server: serverNonce), random)
        state = .conclusion(exchange)
        return request
    }

    /// Reads decrypted parameters: a hash, the data, and less than one block of padding.
    private func open(_ plain: [UInt8]) throws(MTProtoError) -> ServerInnerData {
        let content = plain[20...]
        var count = 0
        let data = try reading("parameters", content) { (reader) throws(TLError) in
            let data = try ServerInnerData(&reader)
            count = reader.offset
            _ = try reader.raw(min(reader.rest.count, 15))
            return data
        }
        guard isEqualInConstantTime(Hash.sha1(content.prefix(count))[...], plain[..<20]) else {
            throw .broken("its parameters do not match their hash")
        }
        return data
    }

    private mutating func conclude(
        _ body: ArraySlice<UInt8>, _ exchange: Exchange
    ) throws(MTProtoError) -> Step {
        let answer = try reading("an answer to set_client_DH_params", body, Conclusion.init)
        try check(answer.nonces)
        guard let key = exchange.key,
            isEqualInConstantTime(Hash.sha1(newNonce[...], [answer.number], key.auxHash)[4...], answer.proof)
        else { throw .broken("it did not prove that it has the new key") }
        switch answer.id {
        case HandshakeID.ok:
            let salt = zip(newNonce, serverNonce).prefix(8).map { $0 ^ $1 }
            return .done(
                Outcome(
                    key: key, salt: salt.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) },
                    serverTime: exchange.serverTime))
        case HandshakeID.retry:
            var exchange = exchange
            let request = try exchange.answer(Nonces(client: nonce, server: serverNonce), random)
            state = .conclusion(exchange)
            return .send(request)
        default: throw .broken("it refused the new key")
        }
    }

    private func check(_ nonces: Nonces) throws(MTProtoError) {
        guard nonces == Nonces(client: nonce, server: serverNonce) else {
            throw .broken("it sent nonces that are not those of this key exchange")
        }
    }

    /// Returns a number's bytes, the highest first, without leading zeros.
    private func bytes(of number: UInt64) -> [UInt8] {
        Array(withUnsafeBytes(of: number.bigEndian) { Array($0) }.drop { $0 == 0 })
    }
}
