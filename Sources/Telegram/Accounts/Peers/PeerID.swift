/// The id of a user, basic group or channel in MTProto, converted from and to the Bot API's single number.
///
/// Source: https://core.telegram.org/api/bots/ids
package enum PeerID: Sendable, Hashable {
    case user(Int64)
    case chat(Int64)
    case channel(Int64)

    private static let channels: Int64 = 1_000_000_000_000
    private static let maxUser: Int64 = 1 << 40
    private static let maxChat: Int64 = 999_999_999_999
    private static let maxChannel: Int64 = 997_852_516_352

    /// Returns nil if the number is not a valid id.
    package init?(botAPI id: Int64) {
        switch id {
        case 1..<PeerID.maxUser: self = .user(id)
        case -PeerID.maxChat...(-1): self = .chat(-id)
        case (-PeerID.channels - PeerID.maxChannel)..<(-PeerID.channels): self = .channel(-id - PeerID.channels)
        default: return nil
        }
    }

    /// The Bot API's id: a user's id, a basic group's as a negative number, `-100…` for channels and supergroups.
    package var botAPI: Int64 {
        switch self {
        case .user(let id): id
        // A server may send any number; the arithmetic must not trap.
        case .chat(let id): 0 &- id
        case .channel(let id): -PeerID.channels &- id
        }
    }
}
