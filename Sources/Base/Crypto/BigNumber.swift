import COpenSSL

/// A natural number of any size. Its memory is cleared when it is freed, because it may be secret.
package final class BigNumber {
    private let number: OpaquePointer

    private init(owning number: OpaquePointer?) {
        guard let number else { fatalError("libcrypto has no memory for a number") }
        self.number = number
    }

    /// Makes a number from its bytes, the highest first.
    package convenience init(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        self.init(owning: BN_bin2bn(bytes, Int32(bytes.count), nil))
    }

    package convenience init(_ value: UInt64) {
        self.init(withUnsafeBytes(of: value.bigEndian) { Array($0) })
    }

    deinit { BN_clear_free(number) }

    package var bitCount: Int { Int(BN_num_bits(number)) }

    /// Returns the bytes, the highest first, filled up with leading zeros to `count`, which must hold the number.
    package func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            guard BN_bn2binpad(number, buffer.baseAddress, Int32(count)) == count else {
                fatalError("a number is longer than \(count) bytes")
            }
            filled = count
        }
    }

    package func isLess(than other: BigNumber) -> Bool { BN_cmp(number, other.number) < 0 }

    /// Returns the remainder of the division by a small number.
    package func remainder(by divisor: UInt) -> UInt { BN_mod_word(number, divisor) }

    /// Returns the number less `other`, which must not be greater.
    package func subtracting(_ other: BigNumber) -> BigNumber {
        result { result, _ in BN_sub(result, number, other.number) }
    }

    /// Returns the number less `other`, modulo a third number.
    package func subtracting(_ other: BigNumber, modulo modulus: BigNumber) -> BigNumber {
        result { BN_mod_sub($0, number, other.number, modulus.number, $1) }
    }

    package func times(_ other: BigNumber, modulo modulus: BigNumber) -> BigNumber {
        result { BN_mod_mul($0, number, other.number, modulus.number, $1) }
    }

    package func times(_ other: BigNumber) -> BigNumber { result { BN_mul($0, number, other.number, $1) } }

    package func plus(_ other: BigNumber) -> BigNumber { result { result, _ in BN_add(result, number, other.number) } }

    /// The number divided by two, rounded down.
    package var half: BigNumber { result { result, _ in BN_rshift1(result, number) } }

    package static func powerOfTwo(_ exponent: Int) -> BigNumber {
        BigNumber(0).result { result, _ in BN_set_bit(result, Int32(exponent)) }
    }

    /// Returns the power modulo an odd number, in a time that does not depend on the exponent.
    package func power(_ exponent: BigNumber, modulo modulus: BigNumber) -> BigNumber {
        result { BN_mod_exp_mont_consttime($0, number, exponent.number, modulus.number, $1, nil) }
    }

    /// Is true if the number is prime: tested with the method of Miller and Rabin, and with as many random bases as libcrypto considers
    /// necessary for a number that an attacker may have chosen.
    package var isPrime: Bool { withContext { BN_check_prime(number, $0, nil) } == 1 }

    private func result(_ body: (OpaquePointer, OpaquePointer?) -> Int32) -> BigNumber {
        let result = BigNumber(owning: BN_new())
        guard withContext({ body(result.number, $0) }) == 1 else { fatalError("libcrypto has no memory for a number") }
        return result
    }

    private func withContext<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let context = BN_CTX_new()
        defer { BN_CTX_free(context) }
        return body(context)
    }
}
