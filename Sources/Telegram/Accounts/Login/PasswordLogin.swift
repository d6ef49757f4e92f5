import JSON
import System
import MTProto

extension Login {
    /// Returns the hint for the two-factor password; nil if there is none.
    package func passwordHint() async throws -> String? { try await ask("account.getPassword", [:])["hint"]?.string }

    /// Proves knowledge of the two-factor password (SRP). The password itself is not sent.
    ///
    /// - Throws: `MTProtoError`, `protocolBroken`, if Telegram's parameters are not safe.
    package func checkPassword(_ password: String) async throws -> Step {
        // Telegram's parameters may expire before they are used; they are then requested once more.
        for isLast in [false, true] {
            do {
                let proof = try await proof(of: password)
                return .done(try await owner(await client.ask("auth.checkPassword", ["password": proof])))
            } catch let error as TelegramRPCError {
                if error.name == "PASSWORD_HASH_INVALID" { return .wrong }
                guard error.name == "SRP_ID_INVALID", !isLast else { throw LoginRefusal.explained(error) }
            }
        }
        return .wrong
    }

    private func proof(of password: String) async throws -> JSON {
        let settings = try await ask("account.getPassword", [:])
        guard let algorithm = settings["current_algo"],
            algorithm["_"]?.string == "passwordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow",
            let salt1 = bytes(algorithm["salt1"]), let salt2 = bytes(algorithm["salt2"]),
            let prime = bytes(algorithm["p"]),
            let generator = algorithm["g"]?.int, let power = bytes(settings["srp_B"]), let id = settings["srp_id"]
        else {
            throw AccountError(
                .unexpectedAnswer,
                "Telegram asks for the password in a way that this version of tgpipe does not support")
        }
        // A hundred thousand rounds of hashing must not block the shared threads.
        let proof = try await BlockingThread().run {
            try PasswordCheck(
                salt1: salt1, salt2: salt2, prime: prime, generator: Int32(truncatingIfNeeded: generator),
                serverPower: power
            ).proof(of: password)
        }
        return .object([
            "_": "inputCheckPasswordSRP", "srp_id": id, "A": .string(Base64.encode(proof.a)),
            "M1": .string(Base64.encode(proof.m1)),
        ])
    }

    private func bytes(_ json: JSON?) -> [UInt8]? { json?.string.flatMap { Base64.decode($0) } }
}
