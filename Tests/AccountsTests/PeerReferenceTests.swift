@testable import Accounts
import JSON
import Testing

@Suite struct PeerReferenceTests {
    @Test(
        arguments: [
            ("me", .own), ("@me", .own), ("Self", .own), ("@Durov", .name("durov")), ("durov", .name("durov")),
            ("t.me/durov", .name("durov")), ("https://t.me/Durov/123?single", .name("durov")),
            ("http://telegram.me/durov/", .name("durov")), ("HTTPS://T.ME/durov#x", .name("durov")),
            ("https://t.me/s/durov", .name("durov")), ("https://durov.t.me/5", .name("durov")),
            ("tg://resolve?domain=durov&post=1", .name("durov")), ("tg:resolve?domain=durov", .name("durov")),
            ("https://t.me/c/1234567890/77", .id(.channel(1_234_567_890))),
            ("tg://privatepost?channel=1234567890&post=77", .id(.channel(1_234_567_890))),
            ("tg://user?id=77", .id(.user(77))), ("tg://openmessage?user_id=77", .id(.user(77))),
            ("tg://openmessage?chat_id=77", .id(.chat(77))), ("77", .id(.user(77))), ("-77", .id(.chat(77))),
            (-1_001_234_567_890, .id(.channel(1_234_567_890))), ("-1001234567890", .id(.channel(1_234_567_890))),
        ] as [(JSON, PeerReference)])
    func `A short form stands for one peer`(_ written: JSON, _ meant: PeerReference) {
        #expect(PeerReference(written) == meant)
    }

    @Test(
        arguments: [
            ("+15550100042", "phone"), ("https://t.me/+15550100042", "phone"),
            ("tg://resolve?phone=15550100042", "phone"),
            ("https://t.me/+AbCdEf0123456789", "join the chat"), ("t.me/joinchat/AbCdEf", "join the chat"),
            ("tg://join?invite=AbCdEf", "join the chat"), ("+AbCdEf", "join the chat"),
            ("https://t.me/addstickers/Animals", "does not lead to a chat"),
            ("https://t.me/", "does not lead to a chat"), ("t.me", "does not lead to a chat"),
            ("https://t.me/c/0", "does not lead to a chat"), ("tg://settings", "does not lead to a chat"),
            ("tg://", "does not lead to a chat"),
            ("https://example.com/durov", "is not a peer"), ("", "is not a peer"), ("@", "is not a peer"),
            ("two words", "is not a peer"),
            ("@x", "is not a peer"), ("naïve", "is not a peer"), (0, "is not an id"),
            ("-1000000000000", "is not an id"),
        ] as [(JSON, String)])
    func `Text that names no peer is refused without repeating it`(_ written: JSON, _ reason: String) {
        guard case .invalid(let told) = PeerReference(written) else {
            Issue.record("\(written.text) was taken")
            return
        }
        #expect(told.contains(reason))
        #expect(!told.contains("5550100042") && !told.contains("AbCdEf"))
    }

    @Test(arguments: [true, 1.5, .array([]), .null] as [JSON])
    func `Other JSON is left to the encoder`(_ written: JSON) { #expect(PeerReference(written) == nil) }
}
