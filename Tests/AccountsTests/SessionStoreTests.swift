import Foundation
import MTProto
import TestSupport
import Testing

@testable import Accounts

@Suite struct SessionStoreTests {
    static func session(_ byte: UInt8 = 7) throws -> AccountSession {
        let key = try #require(AuthKey([UInt8](repeating: byte, count: 256)))
        var session = AccountSession(
            dataCenter: 2, key: key, address: ServerAddress("2001:db8::1", 443), userID: 5_000_000_042)
        session.keys[4] = AuthKey((0..<256).map { UInt8($0) })
        return session
    }

    let folder: TemporaryFolder
    let store: SessionStore

    init() throws {
        folder = try TemporaryFolder()
        store = SessionStore(folder: folder("sessions"))
    }

    @Test func `A session is saved, replaced, listed and removed`() throws {
        #expect(store.names() == [])
        try store.save(try Self.session(), as: "alice")
        try store.save(try Self.session(8), as: "bob.2")
        #expect(try store.load("alice") == Self.session())
        try store.save(try Self.session(9), as: "alice")
        #expect(try store.load("alice") == Self.session(9))
        #expect(store.names() == ["alice", "bob.2"])
        try store.remove("alice")
        #expect(store.names() == ["bob.2"])
        #expect(#expect(throws: AccountError.self) { try store.load("alice") }?.code == .notFound)
        #expect(#expect(throws: AccountError.self) { try store.remove("alice") }?.code == .notFound)
    }

    @Test func `A session with a passphrase is encrypted and opens with no other`() throws {
        let sealed = SessionStore(folder: store.folder, seal: SessionSeal(passphrase: "correct horse"))
        try store.save(try Self.session(), as: "alice")
        #expect(try sealed.load("alice") == Self.session())
        try sealed.save(try Self.session(8), as: "alice")
        let path = try store.path("alice")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let key = Data(repeating: 8, count: 256).base64EncodedString()
        #expect(!text.contains("user_id") && !text.contains("keys") && !text.contains(key.prefix(32)))
        #expect(
            try SessionStore(folder: store.folder, seal: SessionSeal(passphrase: "correct horse")).load("alice")
                == Self.session(8))
        let wrong = SessionStore(folder: store.folder, seal: SessionSeal(passphrase: "battery"))
        for other in [store, wrong] {
            let error = #expect(throws: AccountError.self) { try other.load("alice") }
            #expect(error?.code == .locked)
        }
        // Two files of the same session differ, and a changed byte is noticed.
        try sealed.save(try Self.session(8), as: "alice")
        let other = try String(contentsOfFile: path, encoding: .utf8)
        #expect(other != text)
        let place = try #require(other.range(of: "\"data\":\"")).upperBound
        let changed = other[..<place] + (other[place] == "A" ? "B" : "A") + other[other.index(after: place)...]
        try Data(changed.utf8).write(to: URL(filePath: path))
        #expect(#expect(throws: AccountError.self) { try sealed.load("alice") }?.code == .locked)
    }

    @Test(arguments: [
        #"{"version":1,"sealed":{}}"#, #"{"version":1,"sealed":{"kdf":"scrypt","cost":2,"salt":"AAAA","data":"AAAA"}}"#,
        #"{"version":1,"sealed":{"kdf":"scrypt","cost":9223372036854775807,"salt":"AAAA","data":"AAAA"}}"#,
        #"{"version":1,"sealed":{"kdf":"none","cost":32768,"salt":"AAAA","data":"AAAA"}}"#,
    ])
    func `A damaged encrypted file is refused at once`(content: String) throws {
        try store.save(try Self.session(), as: "alice")
        try Data(content.utf8).write(to: URL(filePath: try store.path("alice")))
        let sealed = SessionStore(folder: store.folder, seal: SessionSeal(passphrase: "x"))
        #expect(#expect(throws: AccountError.self) { try sealed.load("alice") }?.code == .damaged)
    }

    @Test func `A session is readable by its user only and leaves no other files`() throws {
        try store.save(try Self.session(), as: "alice")
        let path = try store.path("alice")
        let file = try FileManager.default.attributesOfItem(atPath: path)
        #expect(file[.posixPermissions] as? Int == 0o600)
        let parent = try FileManager.default.attributesOfItem(atPath: store.folder)
        #expect(parent[.posixPermissions] as? Int == 0o700)
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder).count == 1)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        #expect(#expect(throws: AccountError.self) { try store.load("alice") }?.code == .exposed)
    }

    @Test func `Partial files of a killed process are removed on the next save or removal`() throws {
        func leave(_ name: String) throws {
            try store.prepare()
            try Data("keys".utf8).write(to: URL(fileURLWithPath: "\(store.folder)/\(name)"))
        }
        try leave(".alice.1234")
        try leave(".alice.2.1234")
        try store.save(try Self.session(), as: "alice")
        let kept = Set(try FileManager.default.contentsOfDirectory(atPath: store.folder))
        #expect(kept == ["alice.session.json", ".alice.2.1234"])
        try leave(".alice.99")
        try store.remove("alice")
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder) == [".alice.2.1234"])
    }

    @Test func `A new session does not replace an existing one`() throws {
        try store.save(try Self.session(), as: "alice", isNew: true)
        let failure = #expect(throws: AccountError.self) { try store.save(Self.session(8), as: "alice", isNew: true) }
        #expect(failure?.code == .exists)
        #expect(try store.load("alice") == Self.session())
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder).count == 1)
    }

    @Test(arguments: ["", ".", "..", "../x", "a/b", ".hidden", "ä", String(repeating: "x", count: 65), "a b", "a\0"])
    func `Names that lead out of the folder are refused`(_ name: String) {
        #expect(#expect(throws: AccountError.self) { try store.load(name) }?.code == .invalidName)
    }

    @Test func `A truncated or changed file is damaged, and a newer format is an unknown version`() throws {
        try store.save(try Self.session(), as: "alice")
        let path = try store.path("alice")
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        for count in stride(from: 0, to: whole.count - 1, by: 7) {
            #expect(throws: AccountError.self, "\(count)") {
                try SessionFile.session(Array(whole[..<count]), path: path)
            }
        }
        let text = String(decoding: whole, as: UTF8.self)
        let cases: [(String, String, AccountError.Code)] = [
            (#""version":1"#, #""version":2"#, .otherVersion), (#""dc":2"#, #""dc":3"#, .damaged),
            (#""dc":2"#, #""dc":9223372036854775807"#, .damaged),
            (#""keys":{"2":"BwcH"#, #""keys":{"2":"!wcH"#, .damaged), (#""port":443"#, #""port":70000"#, .damaged),
        ]
        for (old, new, code) in cases {
            #expect(text.contains(old))
            let failure = #expect(throws: AccountError.self) {
                try SessionFile.session(Array(text.replacing(old, with: new).utf8), path: path)
            }
            #expect(failure?.code == code)
            #expect(failure?.message.contains("BwcH") == false)
        }
    }

    @Test func `Learned addresses come before built-in ones`() throws {
        let session = try Self.session()
        #expect(session.addresses(of: 2).map(\.description) == ["[2001:db8::1]:443", "149.154.167.51:443"])
        #expect(session.addresses(of: 9) == [])
    }
}
