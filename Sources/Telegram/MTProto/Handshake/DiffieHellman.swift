import Crypto
import Synchronization

/// Holds a server's parameters for a key exchange or a two-factor password, after checking that they are safe to use.
///
/// Source: https://core.telegram.org/mtproto/auth_key#dh-key-exchange-complete, https://core.telegram.org/mtproto/security_guidelines
package struct DiffieHellman {
    private let prime: BigNumber
    private let generator: BigNumber

    /// Checks the parameters.
    ///
    /// - Parameter prime: the highest byte first.
    /// - Throws: `MTProtoError`, `protocolBroken`.
    package init(prime bytes: [UInt8], generator: Int32) throws(MTProtoError) {
        prime = BigNumber(bytes)
        self.generator = BigNumber(UInt64(UInt32(bitPattern: generator)))
        guard prime.bitCount == 2048 else { throw .broken("the prime of its key exchange does not have 2048 bits") }
        guard DiffieHellman.suits(generator, prime) else {
            throw .broken("the generator of its key exchange does not suit the prime")
        }
        guard KnownPrimes.contains(bytes) || (prime.isPrime && prime.half.isPrime) else {
            throw .broken("the prime of its key exchange is not a safe prime")
        }
        KnownPrimes.insert(bytes)
    }

    /// Returns whether the generator generates the quadratic residues, so that its power reveals no bit of the secret.
    private static func suits(_ generator: Int32, _ prime: BigNumber) -> Bool {
        switch generator {
        case 2: prime.remainder(by: 8) == 7
        case 3: prime.remainder(by: 3) == 2
        case 4: true
        case 5: [1, 4].contains(prime.remainder(by: 5))
        case 6: [19, 23].contains(prime.remainder(by: 24))
        case 7: [3, 5, 6].contains(prime.remainder(by: 7))
        default: false
        }
    }

    /// Returns whether a power that one side sends is far enough from both ends of the range: 2^1984 to prime - 2^1984.
    package func accepts(_ power: [UInt8]) -> Bool {
        guard power.count <= 256 else { return false }
        let (number, margin) = (BigNumber(power), BigNumber.powerOfTwo(2048 - 64))
        return !number.isLess(than: margin) && !prime.subtracting(margin).isLess(than: number)
    }

    /// Returns the value that this side sends: the generator to the power of the secret.
    func power(_ secret: [UInt8]) -> [UInt8] { generator.power(BigNumber(secret), modulo: prime).bytes(256) }

    /// Returns the shared secret: the other side's value to the power of this side's secret.
    func shared(_ power: [UInt8], _ secret: [UInt8]) -> [UInt8] {
        BigNumber(power).power(BigNumber(secret), modulo: prime).bytes(256)
    }
}

/// Remembers primes that proved safe, because the check takes most of a second. Telegram has used a single prime for many years.
enum KnownPrimes {
    static let telegram = hexadecimal(
        "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4db"
            + "fa336f6e0ac925139543aed44cce7c3720fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64"
            + "2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4a4a695811051907e162753b56b0f6b41"
            + "0dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4"
            + "e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f0d8115f635b105ee2e4e15d04b2454bf"
            + "6f4fadf034b10403119cd8e3b92fcc5b")

    /// The last safe prime other than Telegram's.
    private static let last = Mutex<[UInt8]?>(nil)

    static func contains(_ prime: [UInt8]) -> Bool { prime == telegram || last.withLock { $0 == prime } }

    static func insert(_ prime: [UInt8]) {
        if prime != telegram { last.withLock { $0 = prime } }
    }
}
