import Testing

@testable import Blob

@Suite struct KeyTemplateTests {
    private let sha256 = String(repeating: "0123456789abcdef", count: 4)

    private func key(_ template: String, _ values: [KeyTemplate.Field: String] = [:]) throws -> String {
        try KeyTemplate(template).key(values)
    }

    @Test func `Fields become parts of the key`() throws {
        let made = try key(
            "{chat}/{date}/{message_id}-{name}",
            [.chat: "-1001234567890", .date: "2026-11-21", .messageID: "7", .name: "Кот и собака.mp4"])
        #expect(made == "-1001234567890/2026-11-21/7-Кот и собака.mp4")
        #expect(try key("a/{stem}.{ext}", [.stem: "talk", .ext: "mp4"]) == "a/talk.mp4")
    }

    @Test(arguments: [
        ("../../etc/passwd", "_.._etc_passwd"), ("/etc/passwd", "_etc_passwd"), ("..", "unknown"),
        (".hidden", "hidden"),
        ("a\u{202E}gpj.exe", "agpj.exe"), ("a\u{0}b\n", "ab"), ("", "unknown"), ("a\\b", "a_b"), ("{chat}", "{chat}"),
    ])
    func `A stranger's text stays within one part`(text: String, part: String) throws {
        #expect(try key("x/{title}", [.title: text]) == "x/\(part)")
    }

    @Test func `What is not known is called so`() throws {
        #expect(try key("{chat}/{performer}") == "unknown/unknown")
    }

    @Test func `Long texts are cut, and an extension stays`() throws {
        let long = String(repeating: "猫", count: 300)
        let made = try key("{title}/{title}-{title}-{title}-{name}", [.title: long, .name: "\(long).mp4"])
        let parts = made.split(separator: "/")
        #expect(parts.allSatisfy { $0.utf8.count <= 250 })
        #expect(made.hasSuffix(".mp4"))
        let deep = try KeyTemplate(Array(repeating: "{title}", count: 12).joined(separator: "/"))
        #expect(throws: BlobError.self) { try deep.key([.title: long]) }
    }

    @Test(arguments: [
        "{chta}/{name}", "{name", "a//{name}", "../{name}", "/{name}", "{name}/", "", "a\n{name}", "{}",
    ])
    func `A template that can make no key is refused`(text: String) {
        #expect(throws: BlobError.self) { try KeyTemplate(text) }
    }

    @Test func `A file's name never makes it the object of another source`() throws {
        let name = "\(sha256).mp4"
        #expect(try key("video/{name}", [.name: name]) == "video/_\(name)")
        #expect(try key("a/{kind}/{name}", [.kind: "audio", .name: name]) == "a/audio/_\(name)")
        #expect(try key("talks/{name}", [.name: name]) == "talks/\(name)")
        #expect(try key("blob/\(name)") == "blob/\(name)")
    }

    @Test func `A key without fields is known as such`() throws {
        #expect(try KeyTemplate("a/b.mp4").isFixed)
        #expect(try !KeyTemplate("a/{name}").isFixed)
    }

    @Test(arguments: [
        ("a/talk.mp4", "a/talk-0123456789ab.mp4"), ("talk", "talk-0123456789ab"), ("a.b/c", "a.b/c-0123456789ab"),
    ])
    func `Another file with the same key gets one of its own`(key: String, other: String) {
        #expect(KeyTemplate.distinct(key, sha256: sha256) == other)
    }

    @Test func `A key of its own is not too long either`() {
        let key = "a/\(String(repeating: "x", count: 246)).mp4"
        let other = KeyTemplate.distinct(key, sha256: sha256)
        #expect(other.utf8.count == 252)
        #expect(other.hasSuffix("-0123456789ab.mp4"))
    }
}
