import Accounts
import Testing

@Suite struct PeerIDTests {
    @Test(
        arguments: [
            (42, .user(42)), (-7, .chat(7)), (-1_001_234_567_890, .channel(1_234_567_890)),
            (-1_000_000_000_001, .channel(1)), (-999_999_999_999, .chat(999_999_999_999)),
        ] as [(Int64, PeerID)])
    func `A Bot API chat id identifies one peer`(_ id: Int64, _ peer: PeerID) {
        #expect(PeerID(botAPI: id) == peer)
        #expect(peer.botAPI == id)
    }

    @Test(arguments: [0, -1_000_000_000_000, Int64.min, Int64.max]) func `Other numbers identify no peer`(_ id: Int64) {
        #expect(PeerID(botAPI: id) == nil)
    }
}
