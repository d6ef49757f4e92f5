import Crypto

/// Proves to the server that this side has the two-factor password, without sending it.
///
/// Source: https://core.telegram.org/api/srp (`passwordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow`)
package struct PasswordCheck {
    /// The two values that are sent as `inputCheckPasswordSRP`.
    package struct Proof: Sendable {
        package let a: [UInt8]
        package let m1: [UInt8]
    }

    private static let iterations = 100_000

    private let salt1: [UInt8]
    private let salt2: [UInt8]
    private let prime: [UInt8]
    private let generator: [UInt8]
    private let serverPower: [UInt8]
    private let parameters: DiffieHellman

    /// Takes the parameters of the server's answer to `account.getPassword`.
    ///
    /// - Parameters:
    ///   - prime: the algorithm's `p`; `generator` is its `g`.
    ///   - serverPower: `srp_B`.
    /// - Throws: `MTProtoError`, `protocolBroken`, when the parameters are not safe.
    package init(
        salt1: [UInt8], salt2: [UInt8], prime: [UInt8], generator: Int32, serverPower: [UInt8]
    ) throws(MTProtoError) {
        parameters = try DiffieHellman(prime: prime, generator: generator)
        guard parameters.accepts(serverPower) else { throw .broken("its part of the password check is out of range") }
        (self.salt1, self.salt2, self.prime) = (salt1, salt2, BigNumber(prime).bytes(256))
        self.generator = BigNumber(UInt64(UInt32(bitPattern: generator))).bytes(256)
        self.serverPower = BigNumber(serverPower).bytes(256)
    }

    /// Computes the proof. It takes most of a tenth of a second by design, which makes guessing passwords expensive.
    ///
    /// - Throws: `MTProtoError`, `protocolBroken`.
    package func proof(of password: String, random: RandomSource = .system) throws(MTProtoError) -> Proof {
        let x = BigNumber(hash(of: password))
        let modulus = BigNumber(prime)
        let verifier = BigNumber(generator).power(x, modulo: modulus)
        let k = BigNumber(Hash.sha256(prime[...], generator[...]))
        let base = BigNumber(serverPower).subtracting(k.times(verifier, modulo: modulus), modulo: modulus)
        // With such a base, anybody can compute the shared secret.
        guard !base.isLess(than: BigNumber(2)) else { throw .broken("its part of the password check gives no secret") }
        for _ in 0..<10 {
            let secret = random.bytes(256)
            let a = parameters.power(secret)
            let u = Hash.sha256(a[...], serverPower[...])
            guard parameters.accepts(a), u.contains(where: { $0 != 0 }) else { continue }
            let exponent = BigNumber(secret).plus(BigNumber(u).times(x))
            let shared = Hash.sha256(base.power(exponent, modulo: modulus).bytes(256)[...])
            return Proof(a: a, m1: m1(a, shared))
        }
        throw .broken("its parameters give no usable proof of the password")
    }

    private func m1(_ a: [UInt8], _ shared: [UInt8]) -> [UInt8] {
        let mixed = zip(Hash.sha256(prime[...]), Hash.sha256(generator[...])).map { $0 ^ $1 }
        return Hash.sha256(
            mixed[...], Hash.sha256(salt1[...])[...], Hash.sha256(salt2[...])[...], a[...], serverPower[...],
            shared[...])
    }

    private func hash(of password: String) -> [UInt8] {
        let once = salted(salted(Array(password.utf8), salt1), salt2)
        let slow = passwordDerivedKeySHA512(once, salt: salt1, iterations: PasswordCheck.iterations)
        return salted(slow, salt2)
    }

    private func salted(_ bytes: [UInt8], _ salt: [UInt8]) -> [UInt8] { Hash.sha256(salt[...], bytes[...], salt[...]) }
}
