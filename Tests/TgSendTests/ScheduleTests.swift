import Envelope
import JSON
import Stage
import Testing

@testable import tg_send

@Suite(.timeLimit(.minutes(1))) struct ScheduleTests {
    private func progress(_ id: EventID, _ state: String, isFirst: Bool = false) throws -> Job {
        var job = try #require(
            Job(
                Envelope(
                    type: "events.media.progress", payload: ["state": .string(state)],
                    meta: ["origin": ["chat_id": 1, "message_id": 2]], correlationID: id)))
        job.isFirstProgress = isFirst
        return job
    }

    private func command(_ chat: Int64, _ text: String) throws -> Job {
        try #require(
            Job(Envelope(type: "commands.telegram.send", payload: ["chat_id": .integer(chat), "text": .string(text)])))
    }

    private func text(_ job: Job?) -> String? {
        job?.event.payload["text"]?.string ?? job?.event.payload["state"]?.string
    }

    @Test func `Commands to one chat stay in order`() async throws {
        let schedule = Schedule(progressInterval: .seconds(3))
        for text in ["a", "b", "c"] { schedule.add(try command(1, text)) }
        schedule.close()
        var seen: [String] = []
        while let job = await schedule.next() {
            seen.append(text(job) ?? "")
            schedule.finish(job, .done)
        }
        #expect(seen == ["a", "b", "c"])
    }

    @Test func `A waiting chat does not delay another`() async throws {
        let schedule = Schedule(progressInterval: .seconds(3))
        schedule.add(try command(1, "slow"))
        let slow = try #require(await schedule.next())
        schedule.add(try command(2, "quick"))
        schedule.finish(slow, .again(slow, after: .milliseconds(200)))
        let quick = try #require(await schedule.next())
        #expect(text(quick) == "quick")
        schedule.finish(quick, .done)
        #expect(text(await schedule.next()) == "slow")
    }

    @Test func `Only the newest progress is shown`() async throws {
        let schedule = Schedule(progressInterval: .seconds(3600))
        let id = EventID()
        schedule.add(try progress(id, "accepted", isFirst: true))
        let first = try #require(await schedule.next())
        #expect(text(first) == "accepted")
        for state in ["downloading", "converting", "storing"] { schedule.add(try progress(id, state)) }
        schedule.finish(first, .done)
        let newest = try #require(await schedule.next())
        #expect(text(newest) == "storing")
        schedule.finish(newest, .done)
        schedule.close()
        #expect(await schedule.next() == nil)
    }

    @Test func `The end of a request drops its pending progress`() async throws {
        let schedule = Schedule(progressInterval: .seconds(3))
        let id = EventID()
        schedule.add(try progress(id, "downloading"))
        schedule.add(
            try #require(Job(Envelope(type: "events.dl.video.failed", payload: ["reason": "no"], correlationID: id))))
        schedule.close()
        let job = try #require(await schedule.next())
        #expect(job.event.type == "events.dl.video.failed")
        schedule.finish(job, .done)
        #expect(await schedule.next() == nil)
    }

    @Test func `A delayed placeholder reply is not made after the end`() async throws {
        let schedule = Schedule(progressInterval: .seconds(3))
        let id = EventID()
        schedule.add(try progress(id, "accepted", isFirst: true))
        let first = try #require(await schedule.next())
        schedule.add(
            try #require(Job(Envelope(type: "events.dl.video.failed", payload: ["reason": "no"], correlationID: id))))
        schedule.finish(first, .again(first, after: .zero))
        schedule.close()
        let end = try #require(await schedule.next())
        #expect(end.event.type == "events.dl.video.failed")
        schedule.finish(end, .done)
        #expect(await schedule.next() == nil)
    }

    @Test func `Superseded progress counts as done`() async throws {
        let schedule = Schedule(progressInterval: .seconds(3600))
        let id = EventID()
        let jobs = try ["downloading", "converting"].map { try progress(id, $0) }
        for job in jobs { schedule.add(job) }
        schedule.add(
            try #require(Job(Envelope(type: "events.dl.video.failed", payload: ["reason": "no"], correlationID: id))))
        for job in jobs {
            guard case .done(let results) = try await job.completion.value() else { throw CancellationError() }
            #expect(results.isEmpty)
        }
    }

    @Test func `A chat id as number and as text is the same chat`() throws {
        let number = try command(42, "x")
        let text = try #require(Job(Envelope(type: "commands.telegram.send", payload: ["chat_id": "42", "text": "x"])))
        #expect(number.lane == text.lane)
    }

    @Test func `Edits of one reply keep their minimum interval`() async throws {
        let schedule = Schedule(progressInterval: .milliseconds(300))
        let id = EventID()
        schedule.add(try progress(id, "downloading"))
        let first = try #require(await schedule.next())
        let shownAt = ContinuousClock.now
        schedule.finish(first, .done)
        schedule.add(try progress(id, "converting"))
        #expect(text(await schedule.next()) == "converting")
        #expect(ContinuousClock.now - shownAt > .milliseconds(250))
    }

    @Test func `The end of a request does not wait for delayed progress`() async throws {
        let schedule = Schedule(progressInterval: .zero)
        let id = EventID()
        schedule.add(try progress(id, "downloading"))
        let shown = try #require(await schedule.next())
        schedule.finish(shown, .again(shown, after: .seconds(3600)))
        schedule.add(
            try #require(Job(Envelope(type: "events.dl.video.failed", payload: ["reason": "no"], correlationID: id))))
        #expect(await schedule.next()?.event.type == "events.dl.video.failed")
    }

    @Test func `Replies go before progress`() async throws {
        let schedule = Schedule(progressInterval: .seconds(3))
        schedule.add(try progress(EventID(), "downloading"))
        schedule.add(try command(1, "reply"))
        #expect(text(await schedule.next()) == "reply")
    }
}
