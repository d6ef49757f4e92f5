import Foundation
import JSON
import TestSupport
import Testing

/// Sends files of cookies to a whole bot, or an account, against the emulated Telegram.
@Suite(.serialized, .timeLimit(.minutes(5))) struct CookieTests {
    private static let secret = "planted-cookie-value-0123456789"
    private static let group = ChatFixture.group

    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try "".write(toFile: folder("site.txt"), atomically: false, encoding: .utf8)
        chmod(folder("site.txt"), 0o600)
        let sites = "[[site]]\nhost = \"127.0.0.1\"\ncookies = \"site.txt\"\n"
        try sites.write(toFile: folder("sites.toml"), atomically: false, encoding: .utf8)
        try file("good.txt", host: "127.0.0.1")
        try file("other.txt", host: ".bank.example")
        try "{}".write(toFile: folder("bad.txt"), atomically: false, encoding: .utf8)
    }

    private func file(_ name: String, host: String, value: String = secret) throws {
        let line = "\(host)\tFALSE\t/\tFALSE\t2145916800\tsid\t\(value)\n"
        try "# Netscape HTTP Cookie File\n\(line)".write(toFile: folder(name), atomically: false, encoding: .utf8)
    }

    private func bot(_ backend: ChatFixture.Backend = .bot) async throws -> ChatFixture {
        try await ChatFixture(backend, fetch: "--sites \(folder("sites.toml"))")
    }

    private func stored() throws -> String { try String(contentsOfFile: folder("site.txt"), encoding: .utf8) }

    /// Returns the files below a folder that hold the secret.
    private func leaks(in folder: String) throws -> [String] {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return names.filter { name in
            FileManager.default.contents(atPath: "\(folder)/\(name)")?.range(of: Data(Self.secret.utf8)) != nil
        }
    }

    @Test(arguments: ChatFixture.Backend.allCases)
    func `An admin stores cookies by sending them, and the message with them is deleted`(
        _ backend: ChatFixture.Backend
    ) async throws {
        let bot = try await bot(backend)
        let sent = try await bot.telegram.sendFile(
            folder("good.txt"), kind: "document", as: ChatFixture.ann, caption: ".cookies")
        _ = try await bot.answer {
            $0.text == "🍪 Stored the cookies of 127.0.0.1.\nI delete your message with the file."
        }
        #expect(try stored().contains(Self.secret))
        #expect(
            try await eventuallyAsync {
                try await bot.telegram.chat(42).first { $0.id == sent }?.isDeleted ?? true
            })
        try await bot.telegram.say(".cookies", as: ChatFixture.ann)
        let list = try await bot.answer { $0.text?.hasPrefix("🍪 Cookies of sites:\n") == true }
        #expect(list.text?.contains("\n127.0.0.1: 1, ") == true && list.text?.contains("expiry: 2038-01-01\n") == true)
        #expect(list.text?.contains("sid") == false)
        try await bot.telegram.say(".cookies forget 127.0.0.1", as: ChatFixture.ann)
        _ = try await bot.answer { $0.text == "The cookies of 127.0.0.1 are removed." }
        #expect(try !stored().contains(Self.secret))
        // Neither logs nor events nor the work folder have anything of it.
        bot.stop()
        #expect(try leaks(in: bot.folder.path) == [])
        #expect(try await bot.telegram.violations() == [])
    }

    @Test func `An answer to a file stores it, and files that are none or of another site are refused`() async throws {
        let bot = try await bot()
        for (name, words) in [
            (
                "bad.txt",
                "That is no file of cookies in Netscape format: line 1 is not one. Export the cookies as cookies.txt."
            ),
            (
                "other.txt",
                "The cookies in that file belong to bank.example. The sites that have cookies here are: 127.0.0.1."
            ),
        ] {
            let sent = try await bot.telegram.sendFile(folder(name), kind: "document", as: ChatFixture.ann)
            try await bot.telegram.say("/cookies", as: ChatFixture.ann, replyTo: sent)
            _ = try await bot.answer { $0.text == words }
            // A login does not stay in the chat, whomever it belongs to.
            #expect(
                try await eventuallyAsync {
                    try await bot.telegram.chat(42).first { $0.id == sent }?.isDeleted ?? true
                })
        }
        #expect(try stored().isEmpty)
        let sent = try await bot.telegram.sendFile(folder("good.txt"), kind: "document", as: ChatFixture.ann)
        try await bot.telegram.say("/cookies", as: ChatFixture.ann, replyTo: sent)
        _ = try await bot.answer { $0.text?.hasPrefix("🍪 Stored") == true }
        #expect(try stored().contains(Self.secret))
        try await bot.telegram.say(".cookies forget nowhere.example", as: ChatFixture.ann)
        _ = try await bot.answer {
            $0.text == "I have no cookies for nowhere.example. The sites that have cookies here are: 127.0.0.1."
        }
        try await bot.telegram.say(".cookies please", as: ChatFixture.ann)
        _ = try await bot.answer { $0.text?.hasPrefix("Send me a cookies.txt file with the caption .cookies") == true }
    }

    @Test func `Only an admin can store cookies, and only in a private chat`() async throws {
        let bot = try await bot()
        try await bot.telegram.say(".bless 43", as: ChatFixture.ann)
        try await bot.telegram.sendFile(folder("good.txt"), kind: "document", as: ChatFixture.bob, caption: ".cookies")
        _ = try await bot.answer(in: 43) { $0.text == "Only an admin can do that." }
        try await bot.telegram.sendFile(
            folder("good.txt"), kind: "document", as: ChatFixture.ann, chat: Self.group, caption: ".cookies")
        _ = try await bot.answer(in: Self.group) { $0.text?.hasPrefix("Cookies are a login: send them only") == true }
        #expect(try stored().isEmpty)
    }

    @Test func `A site for people who are signed in gives its videos once its cookies are stored`() async throws {
        let bot = try await bot()
        let clip = "ffmpeg -v error -f lavfi -i testsrc=d=2:s=160x120 -f lavfi -i sine=d=2 -shortest -pix_fmt yuv420p"
        #expect(try SpawnedProgram(["sh", "-c", "\(clip) \(bot.folder("www/film.mp4"))"]).wait() == 0)
        let first = try await bot.telegram.say(".vdl \(bot.site.url)/members/film", as: ChatFixture.ann)
        _ = try await bot.answer {
            $0.repliesTo == first && $0.shownText == "❌ The site shows that only to users who are signed in."
        }
        try await bot.telegram.sendFile(
            folder("good.txt"), kind: "document", as: ChatFixture.ann, caption: ".cookies")
        _ = try await bot.answer { $0.text?.hasPrefix("🍪 Stored") == true }
        try await bot.telegram.say(".vdl \(bot.site.url)/members/film", as: ChatFixture.ann)
        _ = try await bot.answer { $0.message["video"] != nil }
    }

    @Test func `Admins are told once a day, and anew after new cookies, that a site refuses its cookies`() async throws
    {
        let bot = try await bot()
        try await bot.telegram.say(".bless 43", as: ChatFixture.ann)
        // The site ends all logins of this session.
        try file("ended.txt", host: "127.0.0.1", value: "expired")
        func ask(_ number: Int) async throws {
            let request = try await bot.telegram.say(
                ".vdl \(bot.site.url)/members/film?\(number)", as: ChatFixture.bob)
            _ = try await bot.answer(in: 43) { $0.repliesTo == request && $0.shownText.hasPrefix("❌") }
        }
        func told() async throws -> Int {
            try await bot.telegram.answers(in: 42).count {
                $0.text?.hasPrefix("🍪 127.0.0.1 does not accept its cookies any more.") == true
            }
        }
        // A site without cookies needs some, and refuses none.
        try await ask(1)
        for round in 1...2 {
            try await bot.telegram.sendFile(
                folder("ended.txt"), kind: "document", as: ChatFixture.ann, caption: ".cookies")
            #expect(
                try await eventuallyAsync {
                    try await bot.telegram.answers(in: 42).count { $0.text?.hasPrefix("🍪 Stored") == true } == round
                })
            #expect(try await told() == round - 1)
            try await ask(10 * round)
            #expect(try await eventuallyAsync { try await told() == round })
            try await ask(10 * round + 1)
            #expect(try await told() == round)
        }
        let left = Int64(try bot.redis.cli("TTL", "tgpipe:{cookies}:told:127.0.0.1")) ?? 0
        #expect((86_000...86_400).contains(left))
    }
}
