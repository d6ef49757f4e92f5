import System
import Testing

@testable import MTProto

@Suite struct RefusalTests {
    struct Expected {
        let (code, text, name): (Int, String, String)
        let value: Int?
        let status: Int32
    }

    static let known = [
        Expected(code: 420, text: "FLOOD_WAIT_3", name: "FLOOD_WAIT", value: 3, status: 75),
        Expected(code: 420, text: "FLOOD_PREMIUM_WAIT_9", name: "FLOOD_PREMIUM_WAIT", value: 9, status: 75),
        Expected(code: 420, text: "SLOWMODE_WAIT_30", name: "SLOWMODE_WAIT", value: 30, status: 75),
        Expected(code: 420, text: "TAKEOUT_INIT_DELAY_86400", name: "TAKEOUT_INIT_DELAY", value: 86400, status: 75),
        Expected(code: 303, text: "USER_MIGRATE_4", name: "USER_MIGRATE", value: 4, status: 1),
        Expected(code: 400, text: "FILE_PART_7_MISSING", name: "FILE_PART_MISSING", value: 7, status: 1),
        Expected(code: 400, text: "FILE_REFERENCE_EXPIRED", name: "FILE_REFERENCE_EXPIRED", value: nil, status: 1),
        Expected(code: 401, text: "AUTH_KEY_UNREGISTERED", name: "AUTH_KEY_UNREGISTERED", value: nil, status: 77),
        Expected(code: 406, text: "AUTH_KEY_DUPLICATED", name: "AUTH_KEY_DUPLICATED", value: nil, status: 77),
        Expected(code: 400, text: "API_ID_INVALID", name: "API_ID_INVALID", value: nil, status: 78),
        Expected(
            code: 400, text: "CONNECTION_API_ID_INVALID", name: "CONNECTION_API_ID_INVALID", value: nil, status: 78),
        Expected(
            code: 400, text: "CONNECTION_LAYER_INVALID", name: "CONNECTION_LAYER_INVALID", value: nil, status: 78),
        Expected(code: 500, text: "-503", name: "-503", value: nil, status: 1),
        Expected(code: 400, text: "X_99999999999999999999", name: "X_99999999999999999999", value: nil, status: 1),
    ]

    @Test(arguments: known.indices) func `Telegram's error text is parsed once`(_ index: Int) {
        let expected = Self.known[index]
        let error = TelegramRPCError(code: expected.code, text: expected.text)
        #expect(error.name == expected.name)
        #expect(error.value == expected.value)
        #expect(error.exitStatus.rawValue == expected.status)
        #expect(error.message.contains(expected.text))
    }

    @Test func `Flood waits and data centres are extracted from errors`() {
        #expect(TelegramRPCError(code: 420, text: "FLOOD_WAIT_3").wait == .seconds(3))
        #expect(TelegramRPCError(code: 400, text: "FILE_PART_7_MISSING").wait == nil)
        #expect(TelegramRPCError(code: 303, text: "PHONE_MIGRATE_5").dataCenter == 5)
        #expect(TelegramRPCError(code: 400, text: "PHONE_MIGRATE_5").dataCenter == nil)
    }

    @Test func `A server's text cannot contain terminal control characters`() {
        let error = TelegramRPCError(code: 400, text: "A\u{1b}[31m\n" + String(repeating: "x", count: 500))
        #expect(error.text.allSatisfy { $0.isASCII && !$0.isNewline && $0 != "\u{1b}" })
        #expect(error.text.count <= 200)
    }

    @Test func `A key does not appear in its description`() throws {
        let key = try #require(Peer.key)
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), dumped] { #expect(text.count < 80) }
    }

    @Test func `Updates that no listener reads are replaced by a gap`() async throws {
        let buffer = UpdateBuffer<ConnectionEvent>(maxUpdates: 3, maxBytes: 1000)
        buffer.add(.salt(1))
        for number in 0..<5 { buffer.add(.update([UInt8(number)])) }
        buffer.add(.salt(2))
        buffer.finish()
        var seen: [String] = []
        while let event = try await buffer.next() { seen.append("\(event)") }
        #expect(seen == ["gap", "update([4])", "salt(2)"])
    }
}
