import Envelope
import JSON
@testable import Stage
import Testing

@Suite(.timeLimit(.minutes(1))) struct WorkListTests {
    private func event(_ name: String) -> Received {
        let envelope = Envelope(type: name, payload: [:])
        return Received(incoming: .event(envelope, Line(Array(envelope.line.dropLast()))), entry: nil)
    }

    @Test func `A held event frees its place and returns when woken`() async throws {
        let list = WorkList(concurrency: 1)
        list.add([event("a"), event("b")])
        let first = try #require(await list.next())
        list.hold(first, for: .seconds(3600))
        let second = try #require(await list.next())
        #expect(second.event.type == "b")
        list.wake([first.number])
        list.finish(second)
        #expect(await list.next()?.event.type == "a")
    }

    @Test func `An event woken while it is being handled is handled again at once`() async throws {
        let list = WorkList(concurrency: 1)
        list.add([event("a")])
        let item = try #require(await list.next())
        list.wake([item.number])
        list.hold(item, for: .seconds(3600))
        #expect(await list.next()?.number == item.number)
    }

    @Test func `A held event that is not woken returns after its time`() async throws {
        let list = WorkList(concurrency: 1)
        list.add([event("a")])
        list.hold(try #require(await list.next()), for: .milliseconds(20))
        #expect(await list.next()?.event.type == "a")
    }

    @Test func `The end waits for held events and for events in progress`() async throws {
        let list = WorkList(concurrency: 2)
        list.add([event("a")])
        list.end()
        let item = try #require(await list.next())
        list.hold(item, for: .milliseconds(20))
        let again = try #require(await list.next())
        list.finish(again)
        #expect(await list.next() == nil)
    }

    @Test func `Reading stops while too many events are held`() async throws {
        let list = WorkList(concurrency: 11, maxHeld: 10)
        list.add((0..<10).map { event("\($0)") })
        var last: WorkList.Item?
        for _ in 0..<10 {
            let item = try #require(await list.next())
            list.hold(item, for: .seconds(3600))
            last = item
        }
        let room = Task { await list.room() }
        list.wake([try #require(last).number])
        #expect(await list.next()?.number == last?.number)
        #expect(await room.value != nil)
    }
}
