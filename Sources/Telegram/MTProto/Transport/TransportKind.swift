/// How messages are framed on a connection. Source: https://core.telegram.org/mtproto/mtproto-transports
package enum TransportKind: String, Sendable, CaseIterable {
    case abridged
    case intermediate
    /// With random padding, which hides lengths.
    case padded
    /// With numbers and checksums.
    case full

    /// What an obfuscated connection, or the first bytes of one that is not, are told by.
    var tag: [UInt8] {
        switch self {
        case .abridged: [0xef, 0xef, 0xef, 0xef]
        case .intermediate: [0xee, 0xee, 0xee, 0xee]
        case .padded: [0xdd, 0xdd, 0xdd, 0xdd]
        case .full: []
        }
    }

    /// What a connection begins with.
    var greeting: [UInt8] { self == .abridged ? [0xef] : tag }
}

/// What a server sends in one frame.
enum TransportFrame: Equatable {
    case packet([UInt8])
    /// The server has received the packet of which this is the token.
    case quickAck(UInt32)
    /// 404: it does not know the key; 429: too many connections; 444: it is another data centre.
    case error(Int32)
}
