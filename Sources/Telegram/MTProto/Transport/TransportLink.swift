/// One connection's bytes: packets into frames, obfuscated or not, and back. A state machine without sockets.
struct TransportLink {
    private var framing: Framing
    private let obfuscation: Obfuscation?
    private let random: RandomSource
    /// What came and is no whole frame yet.
    private var unread: [UInt8] = []
    private var position = 0
    /// What is to be sent, which begins with the transport's greeting.
    private var unsent: [UInt8]

    /// - Parameter secret: of the MTProxy at the other end.
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
        MTProtoError(.configuration, "the transport 'full' cannot be obfuscated, and passes no MTProxy")
    }

    mutating func send(_ packet: [UInt8], wantsQuickAck: Bool = false) {
        let start = unsent.count
        framing.append(packet, wantsQuickAck: wantsQuickAck, random, to: &unsent)
        obfuscation?.outgoing.apply(&unsent, from: start)
    }

    /// All that is to be sent now.
    mutating func takeUnsent() -> [UInt8] {
        defer { unsent = [] }
        return unsent
    }

    /// Takes what came; `next` gives the frames in it.
    mutating func receive(_ bytes: some Collection<UInt8>) {
        if position > 0 {
            unread.removeFirst(position)
            position = 0
        }
        let start = unread.count
        unread.append(contentsOf: bytes)
        obfuscation?.incoming.apply(&unread, from: start)
    }

    /// - Throws: `MTProtoError`, `protocolBroken`.
    mutating func next() throws(MTProtoError) -> TransportFrame? {
        var rest = unread[position...]
        guard let frame = try framing.next(&rest) else { return nil }
        position = rest.startIndex
        return frame
    }
}

/// How to speak on a connection.
package struct TransportSettings: Sendable, Equatable {
    package var kind: TransportKind
    package var isObfuscated: Bool

    package init(_ kind: TransportKind = .intermediate, isObfuscated: Bool = false) {
        (self.kind, self.isObfuscated) = (kind, isObfuscated)
    }
}
