import JSON
import TestSupport
import Testing

@testable import MTProto

/// Tests of the password proof, which the emulator checks with the published arithmetic in Python's integers.
@Suite struct PasswordTests {
    static func login(_ talk: Talk, _ emulator: MTProtoEmulator, _ password: String) async throws -> Int64? {
        let phone: JSON = "15550100055"
        let sent = try await talk.call(
            "auth.sendCode",
            .object([
                "phone_number": phone, "api_id": .integer(Int64(emulator.apiID)),
                "api_hash": "0123456789abcdef0123456789abcdef", "settings": .object(["_": "codeSettings"]),
            ]))
        let code = try await emulator.account(55)["code"] ?? .null
        let refusal = await #expect(throws: TelegramRPCError.self) {
            try await talk.call(
                "auth.signIn",
                .object([
                    "phone_number": phone, "phone_code_hash": sent["phone_code_hash"] ?? .null, "phone_code": code,
                ]))
        }
        #expect(refusal?.name == "SESSION_PASSWORD_NEEDED")
        let wanted = try await talk.call("account.getPassword")
        let proof = try Self.check(wanted).proof(of: password)
        let answer = try await talk.call(
            "auth.checkPassword",
            .object([
                "password": .object([
                    "_": "inputCheckPasswordSRP", "srp_id": wanted["srp_id"] ?? .null,
                    "A": .string(Base64.encode(proof.a)), "M1": .string(Base64.encode(proof.m1)),
                ])
            ]))
        return answer["user"]?["id"]?.int
    }

    static func check(_ wanted: JSON) throws -> PasswordCheck {
        func bytes(_ json: JSON?) -> [UInt8] { json?.string.flatMap(Base64.decode) ?? [] }
        let algorithm = wanted["current_algo"]
        return try PasswordCheck(
            salt1: bytes(algorithm?["salt1"]), salt2: bytes(algorithm?["salt2"]), prime: bytes(algorithm?["p"]),
            generator: Int32(algorithm?["g"]?.int ?? 0), serverPower: bytes(wanted["srp_B"]))
    }

    @Test func `A correct password passes the check and a wrong one fails`() async throws {
        let emulator = try await MTProtoEmulator()
        try await emulator.control(
            "account",
            ["id": 55, "phone": "15550100055", "first_name": "Dora", "password": "pässwörd 🔑", "dc": 2])
        let settings = try Talk.settings(emulator)
        #expect(try await Talk.over(settings) { try await Self.login($0, emulator, "pässwörd 🔑") } == 55)
        let refusal = await #expect(throws: TelegramRPCError.self) {
            try await Talk.over(settings) { try await Self.login($0, emulator, "passwort") }
        }
        #expect(refusal?.name == "PASSWORD_HASH_INVALID")
    }

    @Test func `Parameters that would reveal the password are refused`() {
        let prime = KnownPrimes.telegram
        let good = [UInt8](repeating: 0x55, count: 256)
        var composite = prime
        composite[255] -= 2
        for (prime, generator, power) in [
            (composite, 3, good), (prime, 2, good), (prime, 3, [0]), (prime, 3, [1]), (prime, 3, prime), (prime, 3, []),
        ] as [([UInt8], Int32, [UInt8])] {
            #expect(throws: MTProtoError.self) {
                try PasswordCheck(salt1: [1], salt2: [2], prime: prime, generator: generator, serverPower: power)
            }
        }
    }
}
