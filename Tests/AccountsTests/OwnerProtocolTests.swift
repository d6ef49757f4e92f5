import JSON
import MTProto
import NIOCore
import System
import TL
import Testing

@testable import Accounts

/// The lines between an owner and its clients, each read back from what was written.
@Suite struct OwnerProtocolTests {
    private static let file = RemoteFile(
        location: .object(["_": "inputDocumentFileLocation", "id": "7"]), dataCenter: 4, sizeBytes: 1 << 33,
        origin: MessageOrigin(chatID: -1_001_234_567_890, messageID: 5))

    @Test(
        arguments: [
            (
                .init(.call("messages.getHistory", ["peer": "me", "limit": 3]), deadline: .seconds(2.5)),
                #"{"method":"messages.getHistory","params":{"peer":"me","limit":3},"deadline":2.5}"#
            ),
            (
                .init(.call("a.b", [:]), longestWait: .seconds(90)),
                #"{"method":"a.b","params":{},"deadline":60.0,"longest_wait":90.0}"#
            ),
            (.init(.upload(path: "/tmp/a b", key: "k")), #"{"upload":{"path":"/tmp/a b","key":"k"}}"#),
            (
                .init(.download(file, path: "/tmp/c")),
                #"{"download":{"location":{"_":"inputDocumentFileLocation","id":"7"},"dc":4,"size":8589934592,"#
                    + #""origin":{"chat_id":-1001234567890,"message_id":5},"path":"/tmp/c"}}"#
            ),
            (.init(.events), #"{"events":true}"#), (.init(.peer(-5)), #"{"peer":-5}"#),
            (.init(.status), #"{"status":true}"#), (.init(.cancel(3)), #"{"cancel":3}"#),
        ] as [(OwnerRequest, String)])
    func `A request keeps its form, and is read as it was written`(_ request: OwnerRequest, _ text: String) throws {
        #expect(JSON.object(request.members) == (try JSON(parsing: Array(text.utf8))))
        let line = JSON.object(JSONObject([.init(key: "id", value: 9)] + request.members.members))
        #expect(OwnerRequest.id(of: line) == 9)
        #expect(try OwnerRequest(line) == request)
    }

    @Test(arguments: [
        "[]", "{}", #"{"id":"1","status":true}"#, #"{"id":1}"#, #"{"id":1,"method":5}"#,
        #"{"id":1,"method":"a","params":[]}"#, #"{"id":1,"upload":{"path":"relative","key":"k"}}"#,
        #"{"id":1,"upload":{"path":"/a","key":""}}"#, #"{"id":1,"download":{"path":"/a","dc":2}}"#,
        #"{"id":1,"download":{"path":"/a","location":{},"dc":0}}"#, #"{"id":1,"events":false}"#,
        #"{"id":1,"method":"a","deadline":-1}"#, #"{"id":1,"method":"a","longest_wait":1e300}"#,
    ])
    func `A malformed request is refused`(_ text: String) throws {
        let json = try JSON(parsing: Array(text.utf8))
        #expect(throws: AccountError.self) { try OwnerRequest(json) }
    }

    @Test(arguments: [nil, "/etc/own.tl"])
    func `A status is read as it was written`(_ schema: String?) throws {
        let status = OwnerStatus(
            name: "me", pid: 12, userID: 777, isBot: true, dataCenter: 2, isTest: true, layer: 229, version: "1.0",
            schemaPath: schema)
        #expect(try OwnerStatus(try JSON(parsing: status.json.bytes)) == status)
        #expect(throws: AccountError.self) { try OwnerStatus(.object(["name": "me"])) }
    }

    @Test func `A flood wait is read as it was written`() throws {
        let wait = FloodWait(method: "a.b", remaining: .milliseconds(1500), reason: "FLOOD_WAIT_2")
        #expect(FloodWait(json: try JSON(parsing: wait.json.bytes)) == wait)
        #expect(FloodWait(json: .object(["method": "a.b", "seconds": -1, "reason": "x"])) == nil)
    }

    @Test func `Events are read as they were written`() throws {
        let events: [AccountEvent] = [.updates(TLValue(json: ["_": "updates"])), .gap, .ready, .waiting("offline")]
        for event in events {
            let line = Array(OwnerResponse.event(3, event).readableBytesView.dropLast())
            let read = try #require(OwnerResponseLine(line))
            #expect(read.id == 3 && read.key == "event")
            #expect(try text(of: read.event) == text(of: event))
        }
    }

    private func text(of event: AccountEvent) throws -> String {
        guard case .updates(let value) = event else { return "\(event)" }
        return try value.json().text
    }
}
