import Crypto

/// Converts between packets and the bytes of one connection, which may be obfuscated. It is a state machine without
/// sockets.
struct TransportLink {
    private var framing: Framing
    private let obfuscation: Obfuscation?
    private let random: RandomSource
    /// Received bytes; those before `position` were read as frames.
    private var unread: [UInt8] = []
    private var position = 0
    /// The bytes to be sent, which begin with the transport's greeting.
    private var unsent: [UInt8]

    /// - Parameter secret: the secret of the MTProxy at the other end; nil without one.
    /// - Throws: `MTProtoError`, `configuration`, when the transport cannot be obfuscated.
    init(
        _ settings: TransportSettings, secret: ProxySecret?, dataCenter: Int16, random: RandomSource
    ) throws(MTProtoError) {
        let kind = secret?.demandsPadding == true ? .padded : settings.kind
        self.random = random
        framing = Framing(kind)
        guard settings.isObfuscated || secret != nil else {
            obfuscation = nil
            unsent = kind.greeting
            return
        }
        guard kind != .full else { throw TransportLink.fullIsNotObfuscated }
        let obfuscation = Obfuscation(tag: kind.tag, secret: secret?.bytes, dataCenter: dataCenter, random)
        self.obfuscation = obfuscation
        unsent = obfuscation.header
    }

    static var fullIsNotObfuscated: MTProtoError {
        MTProtoError(.configuration, "the transport 'full' cannot be obfuscated or used with an MTProxy")
    }

    mutating func send(_ packet: [UInt8], wantsQuickAck: Bool = false) {
        let start = unsent.count
        framing.append(packet, wantsQuickAck: wantsQuickAck, random, to: &unsent)
        obfuscation?.outgoing.apply(&unsent, from: start)
    }

    /// Takes the bytes to be sent now.
    mutating func takeUnsent() -> [UInt8] {
        defer { unsent = [] }
        return unsent
    }

    /// Adds received bytes; `next` returns the frames in them.
    mutating func receive(_ bytes: some Collection<UInt8>) {
        if position > 0 {
            unread.removeFirst(position)
            position = 0
        }
        let start = unread.count
        unread.append(contentsOf: bytes)
        obfuscation?.incoming.apply(&unread, from: start)
    }

    /// Returns the next complete frame; nil when there is none.
    ///
    /// - Throws: `MTProtoError`, `protocolBroken`.
    mutating func next() throws(MTProtoError) -> TransportFrame? {
        var rest = unread[position...]
        guard let frame = try framing.next(&rest) else { return nil }
        position = rest.startIndex
        return frame
    }
}

/// The transport of a connection.
package struct TransportSettings: Sendable, Equatable {
    package var kind: TransportKind
    package var isObfuscated: Bool

    package init(_ kind: TransportKind = .intermediate, isObfuscated: Bool = false) {
        (self.kind, self.isObfuscated) = (kind, isObfuscated)
    }
}
