import Crypto
import TL
import Testing

@testable import MTProto

/// The server's side of a key exchange, which checks the client's messages.
struct HandshakeServer {
    /// Made for these tests, and used nowhere else.
    static let key = ServerKey(
        modulus: hexadecimal(
            "adb8fd555c827b054b50fa1e07aa628e4bb605e80a7ebd3b8b447cfa21f18313ca2e512e3b9d3967dea4d114"
                + "5b47619abcbf2c3e5a27febc32460882f7f34cd07d9d3e0732d393a7cb29dcb63452b6c2904523fab5a6e67f"
                + "977c4a011eed9008e3db5cd3ccc8e7359f797b9ce03aee146286175a1b5acf6219ee8a70b97ba5345fb43e73"
                + "0aea1c4c211797eb6b00004e4e2f5e9bb156d977816a6fb6d8387a2dedce45a73fef27253c176f42c3d354ed"
                + "974fbc781ef26e686e164f49a5a92855f13f399294b93dca59125df64fa89c19fa6a3617b708c2689abeecb7"
                + "a631a903e3008a93c4d593aa2c5af31f976b58482080c3561f3d578509e9a5fd68db1ab9"),
        exponent: [1, 0, 1])
    private static let privateExponent = hexadecimal(
        "0da37a2c189d067dd0bf14ebda4be0fc97eabc9af8dbf60cf5d994d03f184ab8a3da5ab592539272afa83e8b"
            + "e66b510e88bbf4d96e52e3d7b040b9a157f30a22f781aaa17e61884997947bf1f2b8a85ad7b5bde5e1c603ce"
            + "f23c7d438a433a02cb54be51c32ae5faafeafb2e97ecb877f190e270c8b8aa930d43222b9dbc4728c1dcb770"
            + "2ef3c9a43592b12b72fe2135f73a6bb423886575ee0518ba3358a74bfd0eb2db741599ea473bab93d14589cb"
            + "560155f95288d0acf12bb92b0e9733c310bb9d86f682e96ece4b60603ab78c40d1efd8f2e2440bad0d638e25"
            + "048ec73f595798aa45edcdf360248b267beec802431cee80e40f76be873450e55f9332d3")

    let serverNonce = RandomSource.system.bytes(16)
    let pq: UInt64 = 1_850_000_143 * 1_900_000_043
    private let secret = RandomSource.system.bytes(256)
    private let parameters: DiffieHellman
    private var nonce: [UInt8] = []
    private var newNonce: [UInt8] = []
    private(set) var key: AuthKey?
    private(set) var dataCenter: Int32?
    private(set) var seconds: Int32?

    private let time: Int32

    /// - Parameter time: seconds since 1970.
    init(time: Int32 = 1_700_000_000) throws {
        self.time = time
        parameters = try DiffieHellman(prime: KnownPrimes.telegram, generator: 3)
    }

    private var nonces: [UInt8] { nonce + serverNonce }

    mutating func answerPQ(_ request: [UInt8]) throws -> [UInt8] {
        var reader = TLReader(request)
        try reader.expect(HandshakeID.requestPQ)
        nonce = Array(try reader.raw(16))
        try reader.end()
        return TLBytes { writer in
            writer.word(HandshakeID.answerPQ)
            writer.raw(nonces)
            writer.bytes(withUnsafeBytes(of: pq.bigEndian) { Array($0) })
            writer.vector(count: 2)
            writer.long(1)
            writer.long(Self.key.fingerprint)
        }
    }

    mutating func answerParameters(_ request: [UInt8]) throws -> [UInt8] {
        var reader = TLReader(request)
        try reader.expect(HandshakeID.requestParameters)
        #expect(Array(try reader.raw(32)) == nonces)
        #expect([Array(try reader.bytes()), Array(try reader.bytes())].map(number) == [1_850_000_143, 1_900_000_043])
        #expect(try reader.long() == Self.key.fingerprint)
        try readInner(Self.decrypt(Array(try reader.bytes())))
        var plain = TLBytes { writer in
            writer.word(HandshakeID.serverInnerData)
            writer.raw(nonces)
            writer.int(3)
            writer.bytes(KnownPrimes.telegram)
            writer.bytes(parameters.power(secret))
            writer.int(time)
        }
        plain = Hash.sha1(plain[...]) + plain
        plain += [UInt8](repeating: 0, count: -plain.count & 15)
        let encrypted = MessageCipher(newNonce: newNonce, serverNonce: serverNonce).encrypted(plain)
        return TLBytes { writer in
            writer.word(HandshakeID.parametersOK)
            writer.raw(nonces)
            writer.bytes(encrypted)
        }
    }

    private mutating func readInner(_ data: [UInt8]) throws {
        var reader = TLReader(data)
        let id = try reader.word()
        #expect(number(Array(try reader.bytes())) == pq)
        _ = (try reader.bytes(), try reader.bytes())
        #expect(Array(try reader.raw(32)) == nonces)
        newNonce = Array(try reader.raw(32))
        dataCenter = try reader.int()
        seconds = id == HandshakeID.innerDataTemporary ? try reader.int() : nil
    }

    /// - Parameter conclusion: `ok`, `retry` or `fail`.
    mutating func conclude(_ request: [UInt8], _ conclusion: UInt32, retryID: Int64) throws -> [UInt8] {
        var reader = TLReader(request)
        try reader.expect(HandshakeID.setClientParameters)
        #expect(Array(try reader.raw(32)) == nonces)
        let plain = MessageCipher(newNonce: newNonce, serverNonce: serverNonce).decrypted(try reader.bytes())
        var inner = TLReader(plain[20...])
        try inner.expect(HandshakeID.clientInnerData)
        #expect(Array(try inner.raw(32)) == nonces)
        #expect(try inner.long() == retryID)
        let power = Array(try inner.bytes())
        #expect(parameters.accepts(power))
        #expect(Hash.sha1(plain[20..<20 + inner.offset]) == Array(plain[..<20]))
        let key = try #require(AuthKey(parameters.shared(power, secret)))
        self.key = key
        let number: UInt8 = conclusion == HandshakeID.ok ? 1 : conclusion == HandshakeID.retry ? 2 : 3
        return TLBytes { writer in
            writer.word(conclusion)
            writer.raw(nonces)
            writer.raw(Hash.sha1(newNonce[...], [number], key.auxHash)[4...])
        }
    }

    /// Decrypts data that was padded and encrypted by RSA_PAD.
    private static func decrypt(_ encrypted: [UInt8]) -> [UInt8] {
        let block = BigNumber(encrypted)
            .power(BigNumber(privateExponent), modulo: BigNumber(key.modulus)).bytes(256)
        let temporary = zip(block, Hash.sha256(block[32...])).map { $0 ^ $1 }
        let cipher = MessageCipher(key: temporary, vector: [UInt8](repeating: 0, count: 32))
        let hashed = cipher.decrypted(block[32...])
        let data = Array(hashed[..<192].reversed())
        #expect(Array(hashed[192...]) == Hash.sha256(temporary[...], data[...]))
        return data
    }

    private func number(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
