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
        let sites = "[[site]]\nhost = \"127.0.0.1\"\ncookies = \"site.txt\"\nprivate = [\"/members/own\"]\n"
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
                "This is not a cookies.txt file in Netscape format (see line 1). Export it with a browser extension."
            ),
            (
                "other.txt",
                "The cookies in that file belong to bank.example. The sites that have cookies here are: 127.0.0.1."
            ),
        ] {
            let sent = try await bot.telegram.sendFile(folder(name), kind: "document", as: ChatFixture.ann)
            try await bot.telegram.say("/cookies", as: ChatFixture.ann, replyTo: sent)
            _ = try await bot.answer { $0.text == "\(words)\nI delete your message with the file." }
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

    @Test func `Only an admin can store cookies`() async throws {
        let bot = try await bot()
        try await bot.telegram.say(".bless 43", as: ChatFixture.ann)
        let own = try await bot.telegram.sendFile(
            folder("good.txt"), kind: "document", as: ChatFixture.bob, caption: ".cookies")
        _ = try await bot.answer(in: 43) {
            $0.text == "Only an admin can do that.\nI delete your message with the file."
        }
        #expect(try await isDeleted(own, in: 43, of: bot))
        try await bot.telegram.say(".cookies", as: ChatFixture.bob)
        _ = try await bot.answer(in: 43) { $0.text == "Only an admin can do that." }
        #expect(try stored().isEmpty)
    }

    private func isDeleted(_ message: Int64, in chat: Int64, of bot: ChatFixture) async throws -> Bool {
        try await eventuallyAsync {
            try await bot.telegram.chat(chat).first { $0.id == message }?.isDeleted ?? true
        }
    }

    @Test(arguments: [true, false])
    func `A login that is sent to a group is deleted if the bot may, and its author is asked to do so`(
        _ mayDelete: Bool
    ) async throws {
        let bot = try await bot()
        let status = mayDelete ? "administrator" : "member"
        try await bot.telegram.server.call(
            "POST", "/control/chat", ["chat_id": .integer(Self.group), "bot_status": .string(status)])
        let sent = try await bot.telegram.sendFile(
            folder("good.txt"), kind: "document", as: ChatFixture.ann, chat: Self.group, caption: ".cookies")
        _ = try await bot.answer(in: Self.group) {
            $0.text == """
                Cookies work like a password: send them only in a private chat with me.
                I try to delete the message with the file. If it is still there, delete it yourself.
                """
        }
        if mayDelete {
            #expect(try await isDeleted(sent, in: Self.group, of: bot))
        } else {
            #expect(try await eventuallyAsync { try await bot.telegram.calls("deleteMessage").count == 1 })
            #expect(try await bot.telegram.chat(Self.group).first { $0.id == sent }?.isDeleted == false)
        }
        #expect(try stored().isEmpty)
    }

    @Test func `In a group, nobody has messages of others deleted by the command for cookies`() async throws {
        let bot = try await bot()
        try await bot.telegram.server.call(
            "POST", "/control/chat", ["chat_id": .integer(Self.group), "bot_status": "administrator"])
        try await bot.telegram.say(".grace", as: ChatFixture.ann, chat: Self.group)
        let file = try await bot.telegram.sendFile(
            folder("good.txt"), kind: "document", as: ChatFixture.ann, chat: Self.group)
        try await bot.telegram.say(".cookies", as: ChatFixture.bob, chat: Self.group, replyTo: file)
        _ = try await bot.answer(in: Self.group) { $0.text == "Only an admin can do that." }
        #expect(try await bot.telegram.calls("deleteMessage").isEmpty)
    }

    @Test func `Pages of the account itself are for admins only`() async throws {
        let bot = try await bot()
        let clip = "ffmpeg -v error -f lavfi -i testsrc=d=2:s=160x120 -f lavfi -i sine=d=2 -shortest -pix_fmt yuv420p"
        #expect(try SpawnedProgram(["sh", "-c", "\(clip) \(bot.folder("www/own.mp4"))"]).wait() == 0)
        try await bot.telegram.say(".bless 43", as: ChatFixture.ann)
        try await bot.telegram.sendFile(
            folder("good.txt"), kind: "document", as: ChatFixture.ann, caption: ".cookies")
        _ = try await bot.answer { $0.text?.hasPrefix("🍪 Stored") == true }
        let refusal =
            "❌ That page shows what belongs to the account that I am signed in with; only an admin can fetch it."
        try await bot.telegram.say(".vdl \(bot.site.url)/members/own", as: ChatFixture.bob)
        _ = try await bot.answer(in: 43) { $0.shownText == refusal }
        try await bot.telegram.say(".vdl \(bot.site.url)/members/own", as: ChatFixture.ann)
        _ = try await bot.answer { $0.message["video"] != nil }
        // Not even what the store has by now.
        try await bot.telegram.say("/vdl \(bot.site.url)//members/%6fwn", as: ChatFixture.bob)
        #expect(
            try await eventuallyAsync {
                try await bot.telegram.answers(in: 43).count { $0.shownText == refusal } == 2
            })
        #expect(try await bot.telegram.answers(in: 43).allSatisfy { $0.message["video"] == nil })
    }

    @Test func `A page elsewhere that wants a login tells nothing about the cookies of the site that led there`()
        async throws
    {
        let bot = try await bot()
        try await bot.telegram.sendFile(
            folder("good.txt"), kind: "document", as: ChatFixture.ann, caption: ".cookies")
        _ = try await bot.answer { $0.text?.hasPrefix("🍪 Stored") == true }
        // Another host, which gets no cookies.
        let other = bot.site.url.replacing("127.0.0.1", with: "localhost")
        let link = "\(bot.site.url)/redirect?to=\(other)/members/film"
        let request = try await bot.telegram.say(".vdl \(link)", as: ChatFixture.ann)
        _ = try await bot.answer {
            $0.repliesTo == request && $0.shownText == "❌ The site shows that only to users who are signed in."
        }
        bot.stop()
        #expect(
            try await bot.telegram.answers(in: 42).allSatisfy {
                $0.text?.contains("does not accept its cookies") != true
            })
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
