import Testing

@testable import tg_send

@Suite struct PacingTests {
    private let start = ContinuousClock.now

    @Test func `A chat receives a short burst, then one message a second`() {
        var pacing = Pacing(now: start)
        for _ in 0..<4 { #expect(pacing.turn(chat: "1", .reply, now: start) == nil) }
        #expect(pacing.turn(chat: "1", .reply, now: start) == .seconds(1))
        #expect(pacing.turn(chat: "1", .reply, now: start + .seconds(1)) == nil)
        #expect(pacing.turn(chat: "1", .reply, now: start + .seconds(1)) != nil)
    }

    @Test func `A group receives 20 messages a minute`() {
        var pacing = Pacing(now: start)
        var sent = 0
        for second in 0..<600 where pacing.turn(chat: "-100", .reply, now: start + .seconds(second)) == nil {
            sent += 1
        }
        #expect((200...205).contains(sent))
    }

    @Test func `Progress edits leave room for replies`() {
        var pacing = Pacing(now: start)
        while pacing.turn(chat: "1", .progress, now: start) == nil {}
        #expect(pacing.turn(chat: "1", .reply, now: start) == nil)
        #expect(pacing.turn(chat: "1", .reply, now: start) == nil)
    }

    @Test func `All chats together receive 30 messages a second`() {
        var pacing = Pacing(now: start)
        let sent = (0..<100).filter { pacing.turn(chat: "\($0)", .reply, now: start) == nil }
        #expect(sent.count == 30)
    }

    @Test func `A flood wait holds only its chat and kind of message`() {
        var pacing = Pacing(now: start)
        pacing.hold(chat: "1", .edit, for: .seconds(54_000), now: start)
        pacing.hold(chat: "1", .edit, for: .seconds(1), now: start)
        #expect(pacing.held(chat: "1", .edit, now: start + .seconds(4000)) == .seconds(50_000))
        #expect(pacing.held(chat: "1", .message, now: start) == nil)
        #expect(pacing.held(chat: "2", .edit, now: start) == nil)
        #expect(pacing.held(chat: "1", .edit, now: start + .seconds(54_000)) == nil)
    }

    @Test func `Idle chats are forgotten`() {
        var pacing = Pacing(now: start)
        for second in 0..<5000 { #expect(pacing.turn(chat: "\(second)", .reply, now: start + .seconds(second)) == nil) }
        #expect(pacing.turn(chat: "4999", .reply, now: start + .seconds(5000)) == nil)
    }
}
