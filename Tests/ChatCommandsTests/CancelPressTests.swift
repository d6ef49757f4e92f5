import ChatCommands
import Envelope
import Testing

@Suite struct CancelPressTests {
    private let key = ButtonKey([UInt8](repeating: 7, count: 32))
    private let request = EventID()

    private func data(user: Int64 = 42, chat: Int64 = -100) -> String {
        CancelPress.data(key, request: request, user: user, chat: chat)
    }

    @Test(arguments: [0, 42, -1_001_234_567_890, .max, .min] as [Int64])
    func `A button's data is short, and names the request and the user`(_ user: Int64) throws {
        let data = data(user: user)
        #expect(data.utf8.count <= 64)
        let press = try #require(CancelPress(data))
        #expect(press.request == request && press.user == user && press.isSigned(by: key, chat: -100))
    }

    @Test func `A signature holds for one request, user, chat and key only`() throws {
        let press = try #require(CancelPress(data()))
        #expect(!press.isSigned(by: key, chat: -101))
        #expect(!press.isSigned(by: ButtonKey([UInt8](repeating: 8, count: 32)), chat: -100))
        // The request and the user are parts of the data itself: no changed character leaves a signed button.
        let characters = Array(data())
        for index in characters.indices {
            for character in ["A", "B", "_", "=", ":"] where String(characters[index]) != character {
                var changed = characters
                changed[index] = Character(character)
                #expect(CancelPress(String(changed))?.isSigned(by: key, chat: -100) != true)
            }
        }
    }

    @Test(arguments: [
        "", "x1:", "x1:AAAA", "c1:AAAA", "x1:%%%%", String(repeating: "A", count: 64),
        "x1:" + String(repeating: "é", count: 27),
    ])
    func `Other data is no press`(_ data: String) { #expect(CancelPress(data) == nil) }

    @Test func `A shown request is read as it was written`() {
        for shown in [ShownRequest(request, user: 42), ShownRequest(request, user: nil)] {
            #expect(ShownRequest(shown.text) == shown)
        }
        for text in ["", "{}", "[]", #"{"request":"x","user":42}"#, #"{"user":42}"#] {
            #expect(ShownRequest(text) == nil)
        }
    }
}
