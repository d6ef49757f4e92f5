/// Who or what a message can be sent to, with the ids of MTProto, and the one number that the Bot API makes of each.
///
/// Source: https://core.telegram.org/api/bots/ids
package enum PeerID: Sendable, Hashable {
    case user(Int64)
    case chat(Int64)
    case channel(Int64)

    private static let channels: Int64 = 1_000_000_000_000
    private static let mostUsers: Int64 = 1 << 40
    private static let mostChats: Int64 = 999_999_999_999
    private static let mostChannels: Int64 = 997_852_516_352

    /// nil for a number that stands for none.
    package init?(botAPI id: Int64) {
        switch id {
        case 1..<PeerID.mostUsers: self = .user(id)
        case -PeerID.mostChats...(-1): self = .chat(-id)
        case (-PeerID.channels - PeerID.mostChannels)..<(-PeerID.channels): self = .channel(-id - PeerID.channels)
        default: return nil
        }
    }

    /// As the Bot API writes it: a user's id, a basic group's as a negative number, `-100…` for channels and supergroups.
    package var botAPI: Int64 {
        switch self {
        case .user(let id): id
        // Whatever a server may say is an id.
        case .chat(let id): 0 &- id
        case .channel(let id): -PeerID.channels &- id
        }
    }
}
