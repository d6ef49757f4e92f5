import COpenSSL

/// A natural number of any size. Secret ones are cleared when they go.
final class BigNumber {
    fileprivate let number: OpaquePointer

    private init(_ number: OpaquePointer?) {
        guard let number else { fatalError("libcrypto has no memory for a number") }
        self.number = number
    }

    /// The first byte is the highest.
    convenience init(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        self.init(BN_bin2bn(bytes, Int32(bytes.count), nil))
    }

    convenience init(_ value: UInt64) {
        self.init(withUnsafeBytes(of: value.bigEndian) { Array($0) })
    }

    deinit { BN_clear_free(number) }

    var bitCount: Int { Int(BN_num_bits(number)) }
    var isOdd: Bool { BN_is_odd(number) == 1 }

    /// The highest byte first, filled up with zeros to `count`, which must hold it.
    func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            guard BN_bn2binpad(number, buffer.baseAddress, Int32(count)) == count else {
                fatalError("a number is longer than \(count) bytes")
            }
            filled = count
        }
    }

    func isLess(than other: BigNumber) -> Bool { BN_cmp(number, other.number) < 0 }

    /// The remainder by a small number.
    func remainder(by divisor: UInt) -> UInt { BN_mod_word(number, divisor) }

    /// The number less `other`, which is not greater.
    func subtracting(_ other: BigNumber) -> BigNumber {
        made { result, _ in BN_sub(result, number, other.number) }
    }

    /// The number less `other`, modulo a third.
    func subtracting(_ other: BigNumber, modulo modulus: BigNumber) -> BigNumber {
        made { BN_mod_sub($0, number, other.number, modulus.number, $1) }
    }

    func times(_ other: BigNumber, modulo modulus: BigNumber) -> BigNumber {
        made { BN_mod_mul($0, number, other.number, modulus.number, $1) }
    }

    func times(_ other: BigNumber) -> BigNumber { made { BN_mul($0, number, other.number, $1) } }

    func plus(_ other: BigNumber) -> BigNumber { made { result, _ in BN_add(result, number, other.number) } }

    private func made(_ body: (OpaquePointer, OpaquePointer?) -> Int32) -> BigNumber {
        let result = BigNumber(BN_new())
        guard withContext({ body(result.number, $0) }) == 1 else { fatalError("libcrypto has no memory for a number") }
        return result
    }

    /// Half of it, without what remains.
    var half: BigNumber {
        let result = BigNumber(BN_new())
        BN_rshift1(result.number, number)
        return result
    }

    static func powerOfTwo(_ exponent: Int) -> BigNumber {
        let result = BigNumber(BN_new())
        BN_set_bit(result.number, Int32(exponent))
        return result
    }

    /// The power modulo an odd number, in a time that does not tell the exponent.
    func power(_ exponent: BigNumber, modulo modulus: BigNumber) -> BigNumber {
        made { BN_mod_exp_mont_consttime($0, number, exponent.number, modulus.number, $1, nil) }
    }

    /// By Miller and Rabin, with as many random bases as libcrypto holds necessary for a number that somebody may have chosen.
    var isPrime: Bool { withContext { BN_check_prime(number, $0, nil) } == 1 }

    private func withContext<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let context = BN_CTX_new()
        defer { BN_CTX_free(context) }
        return body(context)
    }
}
