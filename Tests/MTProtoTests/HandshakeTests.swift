import Testing

@testable import MTProto

/// Tests of the key exchange with a server that is a value, message by message.
@Suite struct HandshakeTests {
    static func handshake(_ kind: Handshake.Kind = .permanent) -> Handshake {
        Handshake(kind, dataCenter: -10_002, keys: [.telegram, HandshakeServer.key], random: .system)
    }

    static func request(_ step: Handshake.Step) throws -> [UInt8] {
        guard case .send(let body) = step else { throw MTProtoError(.closed, "nothing to send") }
        return body
    }

    @Test(arguments: [Handshake.Kind.permanent, .temporary(seconds: 3600)])
    func `Both sides compute the same key`(_ kind: Handshake.Kind) throws {
        var (client, server) = (Self.handshake(kind), try HandshakeServer())
        let factors = try Self.request(client.receive(server.answerPQ(client.opening)[...]))
        let power = try Self.request(client.receive(server.answerParameters(factors)[...]))
        guard case .done(let outcome) = try client.receive(server.conclude(power, HandshakeID.ok, retryID: 0)[...])
        else {
            Issue.record("the exchange does not end")
            return
        }
        #expect(outcome.key == server.key)
        #expect(outcome.serverTime == 1_700_000_000)
        #expect(server.dataCenter == -10_002)
        #expect(server.seconds == (kind == .permanent ? nil : 3600))
        #expect(throws: MTProtoError.self) { try client.receive([1, 2, 3, 4]) }
    }

    @Test func `A retried secret is sent with the hash of the previous one`() throws {
        var (client, server) = (Self.handshake(), try HandshakeServer())
        let factors = try Self.request(client.receive(server.answerPQ(client.opening)[...]))
        let power = try Self.request(client.receive(server.answerParameters(factors)[...]))
        let again = try Self.request(client.receive(server.conclude(power, HandshakeID.retry, retryID: 0)[...]))
        let mark = try #require(server.key).auxHash.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) }
        guard case .done(let outcome) = try client.receive(server.conclude(again, HandshakeID.ok, retryID: mark)[...])
        else {
            Issue.record("the exchange does not end")
            return
        }
        #expect(outcome.key == server.key)
    }

    @Test func `Every altered byte of the server's messages is detected`() throws {
        var (client, server) = (Self.handshake(), try HandshakeServer())
        let first = try server.answerPQ(client.opening)
        // The server's own nonce, and the data after the first unknown key, may have any value.
        for place in Array(0..<20) + [36] {
            var (copy, altered) = (client, first)
            altered[place] ^= 1
            #expect(throws: MTProtoError.self, "byte \(place)") { try copy.receive(altered[...]) }
        }
        let factors = try Self.request(client.receive(first[...]))
        let second = try server.answerParameters(factors)
        for place in second.indices {
            var (copy, altered) = (client, second)
            altered[place] ^= 1
            #expect(throws: MTProtoError.self, "byte \(place)") { try copy.receive(altered[...]) }
        }
        let power = try Self.request(client.receive(second[...]))
        let third = try server.conclude(power, HandshakeID.ok, retryID: 0)
        for place in third.indices {
            var (copy, altered) = (client, third)
            altered[place] ^= 1
            #expect(throws: MTProtoError.self, "byte \(place)") { try copy.receive(altered[...]) }
        }
        for count in third.indices {
            var copy = client
            #expect(throws: MTProtoError.self) { try copy.receive(third[..<count]) }
        }
    }

    @Test func `Products are factored and other numbers are refused quickly`() {
        #expect(Factors(of: 1_724_114_033_281_923_457)?.smaller == 1_229_739_323)
        #expect(Factors(of: 1_724_114_033_281_923_457)?.larger == 1_402_015_859)
        #expect(Factors(of: 2_147_483_647 * 2_147_483_629)?.smaller == 2_147_483_629)
        #expect(Factors(of: 15)?.smaller == 3)
        let none: [UInt64] = [
            0, 1, 2, 4, 9, 25, 27, 105, 2_147_483_647, 9_223_372_036_854_775_783, .max, 1 << 62, 2_147_483_647 * 2,
            2_147_483_629 * 2_147_483_629, 9_223_372_036_854_775_805,
        ]
        for number in none { #expect(Factors(of: number) == nil, "\(number)") }
    }

    @Test func `Telegram's public keys have their published fingerprints`() {
        #expect(UInt64(bitPattern: ServerKey.telegram.fingerprint) == 0xd09d_1d85_de64_fd85)
        #expect(UInt64(bitPattern: ServerKey.telegramTest.fingerprint) == 0xb258_98df_208d_2603)
    }

    @Test(arguments: [
        "", "-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n", "-----BEGIN PUBLIC KEY-----",
    ])
    func `Text that is not a public key is refused`(_ text: String) {
        #expect(throws: MTProtoError.self) { try ServerKey(pem: text) }
    }

    @Test func `Unsafe Diffie-Hellman parameters are refused`() throws {
        var composite = KnownPrimes.telegram
        composite[255] -= 2
        for (prime, generator) in [
            (composite, 3), (KnownPrimes.telegram, 2), (KnownPrimes.telegram, 1), (KnownPrimes.telegram, 8),
            (KnownPrimes.telegram, -3), (Array(KnownPrimes.telegram[128...]), 3), ([], 3), ([0], 2),
        ] as [([UInt8], Int32)] {
            #expect(throws: MTProtoError.self) { try DiffieHellman(prime: prime, generator: generator) }
        }
        let parameters = try DiffieHellman(prime: KnownPrimes.telegram, generator: 3)
        let margin = [UInt8](repeating: 0, count: 7) + [1] + [UInt8](repeating: 0, count: 248)
        var below = margin
        below.replaceSubrange(7..., with: [0] + [UInt8](repeating: 0xff, count: 248))
        #expect(parameters.accepts(margin))
        #expect(!parameters.accepts(below))
        for power in [[], [0], [1], KnownPrimes.telegram, composite, [1] + KnownPrimes.telegram] {
            #expect(!parameters.accepts(power))
        }
    }
}
