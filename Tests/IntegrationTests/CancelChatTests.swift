import Foundation
import JSON
import TestSupport
import Testing

/// Cancels requests from the chat, by an answer and by a button, against the emulated Telegram.
@Suite(.serialized, .timeLimit(.minutes(5))) struct CancelChatTests {
    @Test(arguments: ChatFixture.Backend.allCases, [".stop", "/STOP"])
    func `An answer to the request or to its progress cancels it, and it can be asked for again at once`(
        _ backend: ChatFixture.Backend, _ word: String
    ) async throws {
        let bot = try await ChatFixture(backend)
        for (round, answersRequest) in [true, false].enumerated() {
            let request = try await bot.telegram.say(".vdl \(bot.slow())", as: ChatFixture.ann)
            let progress = try await bot.progress(of: request)
            try await bot.waitForDownload(times: round + 1)
            let stop = try await bot.telegram.say(
                word, as: ChatFixture.ann, replyTo: answersRequest ? request : progress.id)
            _ = try await bot.waitFor("🚫 Cancelled.", in: progress.id)
            #expect(
                try await eventuallyAsync {
                    try await bot.telegram.chat(42).first { $0.id == stop }?.reactions == ["👍"]
                })
            try await bot.expectNothingLeft()
            // What is over cannot be cancelled any more.
            try await bot.telegram.say(word, as: ChatFixture.ann, replyTo: request)
            _ = try await bot.answer { $0.text == "That is over already." && $0.id > stop }
        }
        #expect(try await bot.telegram.violations() == [])
    }

    @Test func `A button below the progress cancels the request, and goes with it`() async throws {
        let bot = try await ChatFixture()
        try await bot.telegram.say("/lang fa", as: ChatFixture.ann)
        _ = try await bot.answer { $0.text == "از این پس به فارسی می‌نویسم." }
        let request = try await bot.telegram.say(".vdl \(bot.slow())", as: ChatFixture.ann)
        let progress = try await bot.answer { $0.repliesTo == request && !$0.buttons.isEmpty }
        #expect(progress.buttons.compactMap { $0["text"]?.string } == ["✖️ لغو"])
        try await bot.waitForDownload()
        let press = try await bot.telegram.press("لغو", of: progress.id, in: 42, as: ChatFixture.ann)
        #expect(try await bot.toast(of: press) == "در حال لغو…")
        let ended = try await bot.waitFor("🚫 لغو شد.", in: progress.id)
        #expect(ended.buttons.isEmpty)
        try await bot.expectNothingLeft()
        // An app with an old screen can press once more.
        let data = progress.buttons.first?["callback_data"] ?? .null
        try await bot.press(data, id: "late", from: 42, message: progress.message)
        #expect(try await bot.toast(of: "late") == "این دیگر تمام شده است.")
    }

    @Test func `Only the person who asked and an admin can cancel, by a button of the same chat`() async throws {
        let bot = try await ChatFixture()
        try await bot.telegram.say(".grace", as: ChatFixture.ann, chat: ChatFixture.group)
        let carl = BotEmulator.User(44, "Carl")
        let request = try await bot.telegram.say(".vdl \(bot.slow())", as: ChatFixture.bob, chat: ChatFixture.group)
        let progress = try await bot.answer(in: ChatFixture.group) { $0.repliesTo == request && !$0.buttons.isEmpty }
        try await bot.waitForDownload()
        let foreign = try await bot.telegram.press("Cancel", of: progress.id, in: ChatFixture.group, as: carl)
        let refusal = "Only the person who asked, or an admin, can cancel that."
        #expect(try await bot.toast(of: foreign) == refusal)
        for answered in [request, progress.id] {
            let stop = try await bot.telegram.say(".stop", as: carl, chat: ChatFixture.group, replyTo: answered)
            _ = try await bot.answer(in: ChatFixture.group) { $0.repliesTo == stop && $0.text == refusal }
        }
        let data = try #require(progress.buttons.first?["callback_data"]?.string)
        // A changed signature, another user in the data, another chat, and no data of such a button.
        let changed = data.dropLast() + (data.hasSuffix("A") ? "Q" : "A")
        let other = try await bot.telegram.say("hello", as: ChatFixture.ann)
        let elsewhere: JSON = [
            "message_id": .integer(other), "date": 1, "chat": ["id": 42, "type": "private", "first_name": "Ann"],
        ]
        for (number, forgery) in [(String(changed), progress.message), (data, elsewhere), ("x1:AAAA", elsewhere)]
            .enumerated()
        {
            try await bot.press(.string(forgery.0), id: "forged\(number)", from: 42, message: forgery.1)
            #expect(try await bot.toast(of: "forged\(number)") == "That is over already.")
        }
        #expect(
            try await bot.telegram.answers(in: ChatFixture.group).contains {
                $0.id == progress.id && $0.edits.last != "🚫 Cancelled."
            })
        let admin = try await bot.telegram.press("Cancel", of: progress.id, in: ChatFixture.group, as: ChatFixture.ann)
        #expect(try await bot.toast(of: admin) == "Cancelling…")
        _ = try await bot.waitFor("🚫 Cancelled.", in: progress.id, chat: ChatFixture.group)
        try await bot.expectNothingLeft()
    }

    @Test func `Others who wait for the same media get it, and are told when they cancel, too`() async throws {
        let bot = try await ChatFixture()
        try await bot.telegram.say(".bless 43", as: ChatFixture.ann)
        let first = try await bot.telegram.say(".vdl \(bot.slow())", as: ChatFixture.ann)
        let one = try await bot.progress(of: first)
        try await bot.waitForDownload()
        let second = try await bot.telegram.say(".vdl \(bot.slow())", as: ChatFixture.bob)
        let two = try await bot.answer(in: 43) {
            $0.repliesTo == second && $0.shownText.hasPrefix("⏳ Already being fetched")
        }
        try await bot.telegram.press("Cancel", of: one.id, in: 42, as: ChatFixture.ann)
        _ = try await bot.waitFor("🚫 Cancelled.", in: one.id)
        // The other request goes on with the download.
        try await bot.waitForDownload(times: 2)
        let standing = try await bot.answer(in: 43) { $0.id == two.id }
        #expect(standing.shownText.hasPrefix("⬇️") || standing.shownText.hasPrefix("⏳"))
        try await bot.telegram.press("Cancel", of: two.id, in: 43, as: ChatFixture.bob)
        _ = try await bot.waitFor("🚫 Cancelled.", in: two.id, chat: 43)
        try await bot.expectNothingLeft()
        #expect(try await bot.site.requests().count { $0["path"]?.string == "/slow/4000/file.bin?0" } == 2)
    }

    @Test func `A question for the form can be cancelled`() async throws {
        let bot = try await ChatFixture()
        let page = "\(bot.site.url)/choice/film?at=120:small.mp4&at=240:large.mp4"
        for byButton in [true, false] {
            let request = try await bot.telegram.say(".vdl? \(page)", as: ChatFixture.ann)
            let question = try await bot.answer { $0.repliesTo == request && $0.buttons.count > 2 }
            #expect(question.buttons.last?["text"] == "✖️ Cancel")
            if byButton {
                try await bot.telegram.press("Cancel", of: question.id, in: 42, as: ChatFixture.ann)
            } else {
                try await bot.telegram.say(".stop", as: ChatFixture.ann, replyTo: request)
            }
            let ended = try await bot.waitFor("🚫 Cancelled.", in: question.id)
            #expect(ended.buttons.isEmpty)
        }
        for path in ["/small.mp4", "/large.mp4"] { #expect(try await bot.site.requests(path).isEmpty) }
    }

    @Test(arguments: ChatFixture.Backend.allCases)
    func `A request that waits for its turn shows its place, and is listed and cancelled`(
        _ backend: ChatFixture.Backend
    ) async throws {
        let bot = try await ChatFixture(backend, turns: "--per-user 1 --bytes-per-day 20G")
        let none = try await bot.telegram.say("/queue", as: ChatFixture.ann)
        _ = try await bot.answer { $0.repliesTo == none && $0.text == "There are no requests at the moment." }
        let first = try await bot.telegram.say(".vdl \(bot.slow(1))", as: ChatFixture.ann)
        let one = try await bot.progress(of: first)
        try await bot.waitForDownload(1)
        let second = try await bot.telegram.say(".vdl \(bot.slow(2))", as: ChatFixture.ann)
        let two = try await bot.answer { $0.repliesTo == second && $0.shownText == "⏳ In the queue: place 1" }
        let third = try await bot.telegram.say(".vdl \(bot.slow(3))", as: ChatFixture.ann)
        let three = try await bot.answer { $0.repliesTo == third && $0.shownText == "⏳ In the queue: place 2" }
        let list = try await bot.telegram.say(".queue", as: ChatFixture.ann)
        let listed = try await bot.answer { $0.repliesTo == list }
        let plain = String(
            String.UnicodeScalarView(listed.shownText.unicodeScalars.filter { !(0x2066...0x2069).contains($0.value) }))
        #expect(
            plain == "All requests:\n⬇️ · Ann · \(bot.slow(1))\n⏳ 1 · Ann · \(bot.slow(2))\n⏳ 2 · Ann · \(bot.slow(3))")
        try await bot.telegram.say(".stop", as: ChatFixture.ann, replyTo: two.id)
        _ = try await bot.waitFor("🚫 Cancelled.", in: two.id)
        _ = try await bot.answer { $0.id == three.id && $0.shownText.hasPrefix("⏳ In the queue: place 1") }
        try await bot.telegram.say(".stop", as: ChatFixture.ann, replyTo: first)
        _ = try await bot.waitFor("🚫 Cancelled.", in: one.id)
        // Its turn goes to the next one at once.
        try await bot.waitForDownload(3)
        let usage = try await bot.telegram.say("/usage", as: ChatFixture.ann)
        let used = try await bot.answer { $0.repliesTo == usage }
        #expect(used.shownText.hasPrefix("Today:\n📥 Requests: 2\n💾 Data: 0 B / 21.5 GB"))
        try await bot.telegram.say(".stop", as: ChatFixture.ann, replyTo: third)
        _ = try await bot.waitFor("🚫 Cancelled.", in: three.id)
        try await bot.expectNothingLeft()
        #expect(try bot.redis.cli("ZCARD", "tgpipe:{turns}:running") == "0")
        #expect(try await bot.telegram.violations() == [])
    }

    @Test func `An answer to no request tells what it is for, and cancelling is not limited`() async throws {
        let bot = try await ChatFixture()
        let usage = "Reply .stop to your link or to my progress message."
        let alone = try await bot.telegram.say(".stop", as: ChatFixture.ann)
        _ = try await bot.answer { $0.repliesTo == alone && $0.text == usage }
        try await bot.telegram.say(".bless 43", as: ChatFixture.ann)
        // The limit is 20 requests a minute.
        for number in 0..<12 {
            let request = try await bot.telegram.say(".vdl \(bot.slow(number))", as: ChatFixture.bob)
            let progress = try await bot.progress(of: request, in: 43)
            try await bot.telegram.say(".stop", as: ChatFixture.bob, replyTo: request)
            _ = try await bot.waitFor("🚫 Cancelled.", in: progress.id, chat: 43)
        }
        try await bot.expectNothingLeft()
    }
}

extension ChatFixture {
    /// Presses a button with data of the caller's choice.
    fileprivate func press(_ data: JSON, id: String, from user: Int64, message: JSON) async throws {
        try await telegram.update([
            "callback_query": [
                "id": .string(id), "from": ["id": .integer(user), "first_name": "Ann", "is_bot": false],
                "chat_instance": "1", "data": data, "message": message,
            ]
        ])
    }
}
