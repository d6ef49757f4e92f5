import Envelope
import JSON
import Payloads
import System
import Testing

@testable import tg_send

/// Tests what the scheduler does when an event goes back to its queue.
@Suite struct SchedulerReturnTests {
    private let request = EventID()
    private let chat = "chat 1"

    private func progress(_ state: String, _ run: SchedulerRun) throws -> Job {
        var job = try Job(
            Envelope(
                type: "events.media.progress", payload: ["kind": "video", "state": .string(state)],
                meta: ["origin": ["chat_id": 1, "message_id": 2]], correlationID: request))
        job.askedAt = run.now
        return job
    }

    /// Returns a command from a queue that was asked for it now.
    private func taken(_ run: SchedulerRun, _ chat: JSON, _ text: String) throws -> Job {
        var job = try Job(Envelope(type: "commands.telegram.send", payload: ["chat_id": chat, "text": .string(text)]))
        job.askedAt = run.now
        return job
    }

    @Test func `When an event goes back to its queue the rest of its chat goes with it`() throws {
        let run = SchedulerRun()
        run.add(try taken(run, 1, "a"), try taken(run, 1, "b"), try taken(run, 2, "other"), try taken(run, "1", "c"))
        let first = try #require(run.start())
        #expect(run.finishReturning(first) == ["b", "c"])
        #expect(run.runAll() == ["other"])
    }

    @Test func `What was taken before the rest of its chat was back goes back too`() throws {
        let run = SchedulerRun()
        run.add(try taken(run, 1, "a"), try taken(run, 1, "b"))
        let first = try #require(run.start())
        let early = try taken(run, 1, "c")
        #expect(run.finishReturning(first) == ["b"])
        run.pass(.milliseconds(1))
        run.noteReturned(chat)
        let late = try taken(run, 1, "d")
        run.pass(.milliseconds(1))
        // One event is back, and one is not.
        run.add(late)
        #expect(run.takeReturning() == ["d"])
        run.noteReturned(chat, times: 2)
        run.add(early)
        #expect(run.takeReturning() == ["c"])
        run.noteReturned(chat)
        run.pass(.milliseconds(1))
        #expect(run.runAll() == [])
        run.add(try taken(run, 1, "a"), try taken(run, 1, "b"))
        #expect(run.takeReturning() == [])
        #expect(run.runAll() == ["a", "b"])
    }

    @Test func `A job of the chat that runs is not taken back`() throws {
        let run = SchedulerRun()
        run.add(try taken(run, 1, "a"))
        let first = try #require(run.start())
        var reaction = try Job(
            Envelope(
                type: "commands.telegram.react", payload: ["chat_id": 1, "message_id": 2, "emoji": "x", "text": "r"]))
        reaction.askedAt = run.now
        run.add(reaction)
        let running = try #require(run.start())
        #expect(run.finishReturning(first) == [])
        run.noteReturned(chat)
        run.finish(running)
        run.pass(.milliseconds(1))
        run.add(try taken(run, 1, "b"))
        #expect(run.runAll() == ["b"])
    }

    @Test func `Progress that waits goes back with its chat`() throws {
        let run = SchedulerRun()
        run.add(try progress("accepted", run), try progress("downloading", run))
        let first = try #require(run.start())
        #expect(run.finishReturning(first) == ["downloading"])
        #expect(run.timeUntilNext() == nil && run.start() == nil)
    }

    @Test func `Media of the chat, and answers, stay when a command goes back`() throws {
        let run = SchedulerRun()
        run.add(try taken(run, 1, "a"), try progress("accepted", run), try taken(run, 1, "b"))
        let first = try #require(run.start())
        #expect(first.name == "a")
        #expect(run.finishReturning(first) == ["b"])
        #expect(run.runAll() == ["accepted"])
    }

    @Test func `An answer that fails sends no other one back`() throws {
        let run = SchedulerRun()
        let answer = { (text: JSON) in
            var job = try Job(
                Envelope(
                    type: "commands.telegram.answer",
                    payload: ["chat_id": 1, "callback_id": "7", "text": text]))
            job.askedAt = run.now
            return job
        }
        run.add(try answer("a"), try answer("b"))
        let first = try #require(run.start())
        #expect(run.finishReturning(first) == [])
        run.add(try answer("c"))
        #expect(run.takeReturning() == [])
        #expect(run.runAll() == ["b", "c"])
    }

    @Test func `Returns of chats that never come back are forgotten`() throws {
        let run = SchedulerRun()
        for chat in 1...1500 {
            run.add(try taken(run, .integer(Int64(chat)), "a"))
            _ = run.finishReturning(try #require(run.start()))
            run.noteReturned("chat \(chat)")
        }
        #expect(run.scheduler.returnCount == 1500)
        run.pass(.seconds(601))
        run.add(try taken(run, 7777, "a"))
        _ = run.finishReturning(try #require(run.start()))
        #expect(run.scheduler.returnCount == 1)
    }
}
