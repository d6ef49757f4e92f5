import Crypto
import TL

/// The last part of a key exchange: holds the server's parameters, and chooses this side's secrets.
struct Exchange {
    let serverTime: Int32
    /// The key; nil before the first answer.
    private(set) var key: AuthKey?
    private let parameters: DiffieHellman
    private let serverPower: [UInt8]
    private let cipher: MessageCipher
    private var attempts = 0

    /// Checks the server's parameters.
    ///
    /// - Throws: `MTProtoError`, `protocolBroken`, when they are not safe.
    init(_ data: ServerInnerData, _ cipher: MessageCipher) throws(MTProtoError) {
        parameters = try DiffieHellman(prime: data.prime, generator: data.generator)
        guard parameters.accepts(data.power) else { throw .broken("its part of the key (g_a) is out of range") }
        (serverPower, serverTime, self.cipher) = (data.power, data.time, cipher)
    }

    /// Chooses a secret, sets `key`, and returns the message to send.
    mutating func answer(_ nonces: Nonces, _ random: RandomSource) throws(MTProtoError) -> [UInt8] {
        guard attempts < Handshake.maxAttempts else { throw .broken("it rejected too many keys") }
        // The number identifies the key that the server refused; 0 at the first attempt.
        let retryID = key?.auxHash.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) } ?? 0
        attempts += 1
        let power = try choose(random)
        var inner = TLWriter()
        inner.word(HandshakeID.clientInnerData)
        inner.raw(nonces.client)
        inner.raw(nonces.server)
        inner.long(retryID)
        inner.bytes(power)
        var plain = Hash.sha1(inner.bytes[...]) + inner.bytes
        plain += random.bytes(-plain.count & 15)
        var writer = TLWriter()
        writer.word(HandshakeID.setClientParameters)
        writer.raw(nonces.client)
        writer.raw(nonces.server)
        writer.bytes(cipher.encrypted(plain))
        return writer.bytes
    }

    /// Chooses a secret whose power is safe to send, and returns the power.
    private mutating func choose(_ random: RandomSource) throws(MTProtoError) -> [UInt8] {
        // A random power is out of range less than once in 2^60 attempts.
        for _ in 0..<10 {
            let secret = random.bytes(256)
            let power = parameters.power(secret)
            guard parameters.accepts(power), let key = AuthKey(parameters.shared(serverPower, secret)) else { continue }
            self.key = key
            return power
        }
        throw .broken("its parameters give no usable key")
    }
}
