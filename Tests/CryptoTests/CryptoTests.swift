import Crypto
import Testing

struct CryptoTests {
    @Test func `Hashes are those of the standards' examples`() {
        let abc = Array("abc".utf8)
        #expect(hex(Hash.sha1(abc[...])) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(hex(Hash.sha256(abc[..<1], abc[1...])) == sha256)
        #expect(SHA256.hexDigest(abc) == sha256 && SHA256.isHexDigest(sha256) && !SHA256.isHexDigest("abc"))
        var md5 = MD5()
        for _ in 0..<2 {
            abc.withUnsafeBytes { md5.update($0) }
            #expect(md5.finish() == "900150983cd24fb0d6963f7d28e17f72")
        }
        let code = hmacSHA256(key: Array("Jefe".utf8), "what do ya want for nothing?")
        #expect(hex(code) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    @Test func `Numbers calculate`() {
        let (seven, ten) = (BigNumber(7), BigNumber(10))
        #expect(seven.isLess(than: ten) && !ten.isLess(than: seven) && seven.isPrime && !ten.isPrime)
        #expect(ten.plus(seven).bytes(2) == [0, 17] && ten.times(seven).bytes(1) == [70])
        #expect(
            ten.subtracting(seven).bytes(1) == [3] && seven.subtracting(ten, modulo: BigNumber(13)).bytes(1) == [10])
        #expect(seven.half.bytes(1) == [3] && BigNumber.powerOfTwo(9).bytes(2) == [2, 0])
        #expect(ten.power(seven, modulo: BigNumber(13)).bytes(1) == [10] && ten.remainder(by: 4) == 2)
        #expect(BigNumber([1, 0]).bitCount == 9 && ten.times(seven, modulo: BigNumber(8)).bytes(1) == [6])
    }

    @Test func `A counter-mode cipher continues from call to call, and decrypts what it encrypted`() {
        let (key, vector) = ([UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 16))
        let plain = (0..<100).map { UInt8($0) }
        var (whole, parts) = (plain, Array(plain[..<33]))
        StreamCipher(key: key, vector: vector).apply(&whole)
        let cipher = StreamCipher(key: key, vector: vector)
        cipher.apply(&parts)
        parts += plain[33...]
        cipher.apply(&parts, from: 33)
        #expect(parts == whole && whole != plain)
        StreamCipher(key: key, vector: vector).apply(&whole)
        #expect(whole == plain)
    }

    @Test func `A password's key is that of an independent implementation`() {
        // Python: hashlib.pbkdf2_hmac("sha512", b"password", b"salt", 1).hex()
        let key = passwordDerivedKeySHA512(Array("password".utf8), salt: Array("salt".utf8), iterations: 1)
        #expect(
            hex(key) == "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252"
                + "c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce")
    }

    @Test func `Comparing and randomness`() {
        #expect(isEqualInConstantTime([1, 2, 3], [1, 2, 3]) && !isEqualInConstantTime([1, 2, 3], [1, 2, 4]))
        #expect(!isEqualInConstantTime([1], []) && isEqualInConstantTime([], []))
        #expect(secureRandomBytes(16).count == 16 && secureRandomBytes(16) != secureRandomBytes(16))
    }

    @Test func `Text that is no RSA key in PEM is refused`() {
        for text in ["", "-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----", "BEGIN PUBLIC KEY"] {
            #expect(RSAPublicKey(pem: text) == nil)
        }
    }
}
