import Crypto

/// The two primes of a small product, which the handshake demands so that connecting costs the client some work.
struct Factors: Equatable {
    let smaller: UInt64
    let larger: UInt64

    /// The limit of the search. All but one in many millions of products of two primes below 2^63 need fewer steps, and a number that
    /// a hostile server sends instead must not occupy this side for long.
    static let maxSteps = 1 << 20

    /// Factors a product; nil when it is no product of two different odd primes.
    init?(of product: UInt64) {
        guard product > 14, product < 1 << 63, product & 1 == 1, !BigNumber(product).isPrime,
            let factor = Factors.find(in: product)
        else { return nil }
        (smaller, larger) = (min(factor, product / factor), max(factor, product / factor))
        guard smaller != larger, BigNumber(smaller).isPrime, BigNumber(larger).isPrime else { return nil }
    }

    /// Finds a factor with Pollard's rho method and Brent's search for the cycle; one greatest common divisor serves many differences.
    private static func find(in product: UInt64) -> UInt64? {
        var steps = 0
        for constant in UInt64(1)...20 {
            var (slow, fast, length) = (UInt64(2), UInt64(2), 1)
            while true {
                slow = fast
                var done = 0
                while done < length {
                    let start = fast
                    var collected: UInt64 = 1
                    let batch = min(64, length - done)
                    for _ in 0..<batch {
                        fast = next(fast, constant, product)
                        collected = times(collected, slow > fast ? slow - fast : fast - slow, product)
                    }
                    var divisor = commonDivisor(collected, product)
                    if divisor == product { divisor = walk(from: start, slow, constant, product) }
                    if divisor == product { break }
                    if divisor > 1 { return divisor }
                    done += batch
                    steps += batch
                    if steps > maxSteps { return nil }
                }
                if done < length { break }
                length *= 2
            }
        }
        return nil
    }

    /// Repeats a batch step by step, because the product of its differences is a multiple of the whole number.
    private static func walk(from start: UInt64, _ slow: UInt64, _ constant: UInt64, _ product: UInt64) -> UInt64 {
        var fast = start
        while true {
            fast = next(fast, constant, product)
            let divisor = commonDivisor(slow > fast ? slow - fast : fast - slow, product)
            if divisor > 1 { return divisor }
        }
    }

    private static func next(_ value: UInt64, _ constant: UInt64, _ product: UInt64) -> UInt64 {
        // Below 2^63, so that the sum does not overflow.
        (times(value, value, product) + constant) % product
    }

    private static func times(_ one: UInt64, _ other: UInt64, _ modulus: UInt64) -> UInt64 {
        modulus.dividingFullWidth(one.multipliedFullWidth(by: other)).remainder
    }

    private static func commonDivisor(_ one: UInt64, _ other: UInt64) -> UInt64 {
        var (one, other) = (one, other)
        while one != 0 { (one, other) = (other % one, one) }
        return other
    }
}
