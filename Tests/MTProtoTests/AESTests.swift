import CAES
import Crypto
import Testing

@testable import MTProto

/// The expected digests were made with libcrypto's own mode IGE, which is deprecated there and used nowhere here.
@Suite struct AESTests {
    enum Way: CaseIterable { case accelerated, portable }

    static let digests: [Int: String] = [
        16: "f8f6228bb5d5a22d7ffefbcf892f50bb49177297136a3e2a5b46f3ccc7cd7e34",
        32: "dc8a6025a146c72158c57a25ee9bb646867a0328d279e1e07d45947d6cf8f21e",
        48: "5661f2f8062bd6c210bf8c02ffeb067c52829fa497c671c30e82b8cd979fa49b",
        4096: "58745e515ef3397bbe466d813593dc219fa394d13d2de50ca8c89bece9120151",
        4112: "7e1e89849eed53c3742b2ee2f5a766a45d617dee90472eaac021e991741f80bd",
        6000: "531636da3949271f71f81268cb2d11c8661c936c8cbb9d5fd1f4a84a024c2d37",
    ]

    static let key = (0..<32).map { UInt8($0) }
    static let vector = (0..<32).map { UInt8(100 + $0) }

    static func text(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 256) } }

    static func encrypt(_ bytes: inout [UInt8], at offset: Int, count: Int, iv: inout [UInt8], _ way: Way) {
        bytes.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress.map({ $0 + offset }) else { return }
            switch way {
            case .accelerated: tgp_aes_ige_encrypt(key, &iv, start, start, count)
            case .portable: tgp_aes_ige_encrypt_portable(key, &iv, start, start, count)
            }
        }
    }

    static func decrypt(_ bytes: inout [UInt8], at offset: Int, count: Int, iv: inout [UInt8], _ way: Way) {
        bytes.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress.map({ $0 + offset }) else { return }
            switch way {
            case .accelerated: tgp_aes_ige_decrypt(key, &iv, start, start, count)
            case .portable: tgp_aes_ige_decrypt_portable(key, &iv, start, start, count)
            }
        }
    }

    @Test(arguments: Way.allCases, [16, 32, 48, 4096, 4112, 6000])
    func `Encryption gives the same bytes as libcrypto`(_ way: Way, _ count: Int) {
        var bytes = Self.text(count)
        var iv = Self.vector
        Self.encrypt(&bytes, at: 0, count: count, iv: &iv, way)
        #expect(SHA256.hexDigest(bytes) == Self.digests[count])
    }

    @Test(arguments: Way.allCases)
    func `Decryption restores the text, in place and unaligned`(_ way: Way) {
        for offset in 0..<4 {
            let text = Self.text(5008 + offset)
            var bytes = text
            var iv = Self.vector
            Self.encrypt(&bytes, at: offset, count: 5008, iv: &iv, way)
            #expect(bytes[offset...] != text[offset...])
            #expect(bytes[..<offset] == text[..<offset])
            iv = Self.vector
            Self.decrypt(&bytes, at: offset, count: 5008, iv: &iv, way)
            #expect(bytes == text)
        }
    }

    @Test(arguments: Way.allCases, Way.allCases)
    func `Pieces chain as one text`(_ one: Way, _ other: Way) {
        var bytes = Self.text(4112)
        var iv = Self.vector
        for (offset, count, way) in [(0, 16, one), (16, 2048, other), (2064, 2048, one)] {
            Self.encrypt(&bytes, at: offset, count: count, iv: &iv, way)
        }
        #expect(SHA256.hexDigest(bytes) == Self.digests[4112])
        iv = Self.vector
        for (offset, count, way) in [(0, 32, other), (32, 4064, one), (4096, 16, other)] {
            Self.decrypt(&bytes, at: offset, count: count, iv: &iv, way)
        }
        #expect(bytes == Self.text(4112))
    }

    @Test(arguments: Way.allCases) func `Opening decrypts and hashes messages of all lengths`(_ way: Way) {
        let prefix = (0..<32).map { UInt8(200 - $0) }
        // Each remainder of a block of 64 bytes, for none, one and several blocks; at each place in memory.
        for count in Array(stride(from: 32, through: 512, by: 16)) + [4112, 70_000] {
            let text = Self.text(count)
            var (encrypted, iv) = (text, Self.vector)
            Self.encrypt(&encrypted, at: 0, count: count, iv: &iv, .portable)
            for offset in 0..<3 {
                var bytes = [UInt8](repeating: 9, count: offset) + encrypted + [7, 7]
                var digest = [UInt8](repeating: 0, count: 32)
                bytes.withUnsafeMutableBufferPointer { buffer in
                    guard let start = buffer.baseAddress.map({ $0 + offset }) else { return }
                    switch way {
                    case .accelerated: tgp_aes_ige_open(Self.key, Self.vector, prefix, start, start, count, &digest)
                    case .portable:
                        tgp_aes_ige_open_portable(Self.key, Self.vector, prefix, start, start, count, &digest)
                    }
                }
                #expect(bytes == [UInt8](repeating: 9, count: offset) + text + [7, 7], "\(count) bytes at \(offset)")
                #expect(digest == Hash.sha256(prefix[...], text[...]), "\(count) bytes at \(offset)")
            }
        }
    }

    @Test func `Opening leaves the bytes of another buffer as they are`() {
        let text = Self.text(4112)
        var (encrypted, iv) = (text, Self.vector)
        Self.encrypt(&encrypted, at: 0, count: text.count, iv: &iv, .accelerated)
        let before = encrypted
        let opened = MessageCipher(key: Self.key, vector: Self.vector).opened(encrypted[...], hashedAfter: iv[...])
        #expect(opened.plain == text)
        #expect(opened.digest == Hash.sha256(iv[...], text[...]))
        #expect(encrypted == before)
    }
}
