import ChatCommands
import Envelope
import Foundation
import JSON
import Payloads
import TestSupport
import Testing

@testable import media_ask

@Suite struct ChoiceKeyTests {
    private let key = ChoiceKey(ButtonKey([UInt8](repeating: 7, count: 32)))
    private let bond = ChoiceKey.Bond(request: EventID(), user: 42, chat: -100, message: 7, expires: 1_800_000_000)

    @Test func `A button's data is short, and names the request and the option`() throws {
        for option in [0, 1, 255] {
            let data = key.data(bond, option: option)
            #expect(data.utf8.count <= 64)
            let press = try #require(ChoiceKey.Press(data))
            #expect(press.request == bond.request && press.option == option)
            #expect(key.signed(press, bond))
        }
    }

    @Test func `A signature holds for one request, user, chat, message, time and key only`() throws {
        let press = try #require(ChoiceKey.Press(key.data(bond, option: 1)))
        let changes: [(inout ChoiceKey.Bond) -> Void] = [
            { $0.request = EventID() }, { $0.user = 43 }, { $0.chat = -101 }, { $0.message = 8 }, { $0.expires += 1 },
        ]
        for change in changes {
            var other = bond
            change(&other)
            #expect(!key.signed(press, other))
        }
        #expect(!ChoiceKey(ButtonKey([UInt8](repeating: 8, count: 32))).signed(press, bond))
    }

    @Test func `No changed character leaves a signed button`() throws {
        let data = Array(key.data(bond, option: 1))
        for index in data.indices {
            for character in ["A", "B", "_", "=", ":"] where String(data[index]) != character {
                var changed = data
                changed[index] = Character(character)
                guard let press = ChoiceKey.Press(String(changed)) else { continue }
                var other = bond
                other.request = press.request
                #expect(!key.signed(press, other) || press.request != bond.request)
                #expect(!(key.signed(press, bond) && press.request == bond.request))
            }
        }
    }

    @Test(arguments: [
        "", "c1:", "c1:AAAA", "x1:AAAA", "c1:%%%%", String(repeating: "A", count: 64),
        "c1:" + String(repeating: "é", count: 30),
    ])
    func `Other data is no press`(_ data: String) {
        #expect(ChoiceKey.Press(data) == nil)
    }

    @Test func `The key is made once, for its owner alone, and read from then on`() throws {
        let folder = try TemporaryFolder()
        let press = try #require(ChoiceKey.Press(ChoiceKey(try ButtonKey(path: folder("key"))).data(bond, option: 1)))
        #expect(ChoiceKey(try ButtonKey(path: folder("key"))).signed(press, bond))
        let attributes = try FileManager.default.attributesOfItem(atPath: folder("key"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        try "short".write(toFile: folder("bad"), atomically: false, encoding: .utf8)
        #expect(throws: (any Error).self) { try ButtonKey(path: folder("bad")) }
    }

    @Test func `A question is read as it was written`() throws {
        let forms = [
            PendingChoice.Form(kind: .video, variant: .standard),
            PendingChoice.Form(kind: .video, variant: MediaVariant(maxHeight: 720)),
            PendingChoice.Form(kind: .audio, variant: MediaVariant(audioFormat: .opus)),
        ]
        let asked = PendingChoice(bond, forms, waiter: "pipe/a/1")
        #expect(PendingChoice(bond.request, JSON.object(asked.json).text) == asked)
        #expect(PendingChoice(bond.request, "{}") == nil && PendingChoice(bond.request, "x") == nil)
    }
}
