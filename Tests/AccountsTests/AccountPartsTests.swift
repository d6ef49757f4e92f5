import Envelope
import JSON
import MTProto
import NIOCore
import TL
import Testing

@testable import Accounts

private func updates(_ text: String) -> AccountEvent { .updates(TLValue(text: Array(text.utf8))) }

/// Parts that need no server.
@Suite struct AccountPartsTests {
    @Test func `A listener that reads nothing finds a gap instead of the updates, and the last state`() async throws {
        let queue = UpdateBuffer<AccountEvent>(maxUpdates: 3, maxBytes: 100)
        queue.add(.ready)
        for _ in 0..<3 { queue.add(updates("1")) }
        queue.add(.waiting("gone"))
        queue.add(updates("2"))
        queue.add(.gap)
        queue.add(updates("3"))
        queue.finish(nil)
        var seen: [String] = []
        while let event = try await queue.next() {
            if case .updates(let value) = event { seen.append(try value.json().text) } else { seen.append("\(event)") }
        }
        #expect(seen == [#"waiting("gone")"#, "gap", "3"])
    }

    @Test func `Updates over the byte limit become a gap, and the end follows the buffered events`() async throws {
        let queue = UpdateBuffer<AccountEvent>(maxUpdates: 100, maxBytes: 10)
        queue.add(updates("12345678"))
        queue.add(updates("12345678"))
        queue.finish(AccountError(.notLoggedIn, "over"))
        guard case .gap? = try await queue.next() else {
            Issue.record("no gap")
            return
        }
        await #expect(throws: AccountError.self) { try await queue.next() }
    }

    @Test func `A late listener receives the connection's current state`() async throws {
        let hub = EventHub()
        hub.add(.waiting("no network"))
        for try await event in try hub.listen() {
            guard case .waiting("no network") = event else {
                Issue.record("\(event)")
                return
            }
            break
        }
        hub.end(AccountError(.notLoggedIn, "over"))
        #expect(throws: AccountError.self) { try hub.listen() }
    }

    @Test func `Server addresses are read in their written form only`() throws {
        let servers = try ServerList.read("2=127.0.0.1:4430 3=[::1]:4431,2=example.org:443")
        #expect(servers[2] == [ServerAddress("127.0.0.1", 4430), ServerAddress("example.org", 443)])
        #expect(servers[3] == [ServerAddress("::1", 4431)])
        for text in ["2", "x=1.2.3.4:5", "2=1.2.3.4", "2=:5", "2=host:0", "2=host:70000", "0=host:1"] {
            #expect(throws: AccountError.self) { try ServerList.read(text) }
        }
    }

    @Test func `Only usable addresses from Telegram's configuration are kept`() throws {
        func option(_ id: Int64, _ host: String, _ more: JSONObject = [:]) -> JSON {
            .object(
                JSONObject(
                    [
                        .init(key: "id", value: .integer(id)), .init(key: "ip_address", value: .string(host)),
                        .init(key: "port", value: 443),
                    ] + more.members))
        }
        let options = DataCenterOptions(
            .object([
                "dc_options": .array([
                    option(2, "media", ["media_only": true]), option(2, "secret", ["tcpo_only": true]),
                    option(2, "four"), option(2, "six", ["ipv6": true]), option(203, "content", ["cdn": true]),
                    option(-1, "wrong"), .object(["id": 2, "ip_address": "far", "port": 70000]), "nothing",
                ])
            ]))
        #expect(options.addresses(of: 2, isIPv6: false) == [ServerAddress("four", 443)])
        #expect(options.addresses(of: 2, isIPv6: true) == [ServerAddress("six", 443)])
        #expect(options.addresses(of: 203, isIPv6: false) == [])
        #expect(options.addresses(of: 203, isIPv6: true, isCDN: true) == [ServerAddress("content", 443)])
        #expect(options.best(isIPv6: false) == [2: ServerAddress("four", 443)])
    }

    @Test(arguments: [
        "", "{}", #"{"id":}"#, #"{"id":1}"#, #"{"id":x,"result":1}"#, #"{"id":1,"result"}"#, #"{"id":1,result:1}"#,
        #"{"id":1,"#, #"{"id":1,"result":1"#, #"{"result":1,"id":1}"#,
    ])
    func `A line that is not an owner's is refused, because it may have held updates`(_ line: String) {
        #expect(OwnerResponseLine(Array(line.utf8)) == nil)
        let error = #expect(throws: AccountError.self) { try PendingRequests().receive(Array(line.utf8)) }
        #expect(error?.code == .socketProtocol)
    }

    @Test func `An owner's line is classified without parsing its content`() throws {
        let line = try #require(OwnerResponseLine(Array(#"{"id":7,"result":{"a":"}"}}"#.utf8)))
        #expect(line.id == 7 && line.key == "result" && line.json?["a"] == "}")
        let event = try #require(
            OwnerResponseLine(Array(OwnerResponse.event(3, updates("{}")).readableBytesView.dropLast())))
        guard case .updates(let value) = event.event else {
            Issue.record("no updates")
            return
        }
        #expect(String(decoding: try value.text(), as: UTF8.self) == "{}")
    }

    @Test(arguments: [#"{"type":"updates"}"#, #"{"type":"new"}"#, "{", "[]", #"{"type":"gap"}"#])
    func `An event that a client does not understand becomes a gap`(_ event: String) throws {
        let line = try #require(OwnerResponseLine(Array(#"{"id":3,"event":\#(event)}"#.utf8)))
        guard case .gap = line.event else {
            Issue.record("\(line.event)")
            return
        }
    }

    @Test func `Updates that cannot be decoded cross the socket as a gap`() throws {
        let updates = TLValue(bytes: [1, 2, 3, 4], decoder: SharedTLDecoder(try AtWork.schema.get()))
        let line = OwnerResponse.event(3, .updates(updates))
        #expect(String(decoding: line.readableBytesView, as: UTF8.self) == #"{"id":3,"event":{"type":"gap"}}"# + "\n")
    }

    @Test func `The flood waits of one call together stay within the caller's limit`() async throws {
        var options = CallOptions()
        options.longestWait = .milliseconds(50)
        var attempt = CallAttempt("a.b", options)
        let error = TelegramRPCError(code: 420, text: "FLOOD_WAIT_1")
        let wait = FloodWait(method: "a.b", remaining: .milliseconds(30), reason: "FLOOD_WAIT_1")
        try await attempt.keep(to: wait, otherwise: error)
        await #expect(throws: TelegramRPCError.self) { try await attempt.keep(to: wait, otherwise: error) }
        #expect(
            attempt.refusal(FloodWait(method: "a.b", remaining: .milliseconds(1500), reason: "FLOOD_WAIT_9")).text
                == "FLOOD_WAIT_2")
    }
}
