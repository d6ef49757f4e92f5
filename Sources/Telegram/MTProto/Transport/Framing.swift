import Compression

/// Writes and reads the frames of one connection. It has state because the transport `full` numbers its frames.
struct Framing {
    /// The limit of a received frame. Servers send up to one megabyte of a file, and answers of a few megabytes.
    static let maxFrameBytes = 16 << 20

    let kind: TransportKind
    private var sent: UInt32 = 0
    private var received: UInt32 = 0

    init(_ kind: TransportKind) { self.kind = kind }

    /// Appends a packet, framed, to bytes to be sent.
    ///
    /// - Parameter wantsQuickAck: whether the server shall acknowledge the packet at once; `full` cannot request that.
    mutating func append(
        _ packet: [UInt8], wantsQuickAck: Bool = false, _ random: RandomSource, to bytes: inout [UInt8]
    ) {
        switch kind {
        case .abridged: appendAbridged(packet, wantsQuickAck, &bytes)
        case .intermediate:
            append(UInt32(packet.count) | (wantsQuickAck ? 1 << 31 : 0), &bytes)
            bytes += packet
        case .padded:
            let padding = random.bytes(random.small(below: 16))
            append(UInt32(packet.count + padding.count) | (wantsQuickAck ? 1 << 31 : 0), &bytes)
            bytes += packet
            bytes += padding
        case .full:
            let start = bytes.count
            append(UInt32(packet.count + 12), &bytes)
            append(sent, &bytes)
            bytes += packet
            append(Framing.checksum(bytes[start...]), &bytes)
            sent &+= 1
        }
    }

    private func appendAbridged(_ packet: [UInt8], _ wantsQuickAck: Bool, _ bytes: inout [UInt8]) {
        let (words, flag) = (packet.count / 4, UInt8(wantsQuickAck ? 0x80 : 0))
        if words < 0x7f {
            bytes.append(UInt8(words) | flag)
        } else {
            append(UInt32(words) << 8 | UInt32(0x7f | flag), &bytes)
        }
        bytes += packet
    }

    /// Takes the next frame off `bytes`.
    ///
    /// - Returns: nil when the frame is not complete; `bytes` is unchanged then.
    /// - Throws: `MTProtoError`, `protocolBroken`.
    mutating func next(_ bytes: inout ArraySlice<UInt8>) throws(MTProtoError) -> TransportFrame? {
        switch kind {
        case .abridged: try nextAbridged(&bytes)
        case .intermediate, .padded: try nextIntermediate(&bytes)
        case .full: try nextFull(&bytes)
        }
    }

    private func nextAbridged(_ bytes: inout ArraySlice<UInt8>) throws(MTProtoError) -> TransportFrame? {
        guard let first = bytes.first else { return nil }
        if first & 0x80 != 0 {
            guard let word = Framing.word(bytes) else { return nil }
            bytes = bytes.dropFirst(4)
            return .quickAck(word.byteSwapped)
        }
        if first < 0x7f { return try take(Int(first) * 4, after: 1, &bytes) }
        guard let word = Framing.word(bytes) else { return nil }
        return try take(Int(word >> 8) * 4, after: 4, &bytes)
    }

    private func nextIntermediate(_ bytes: inout ArraySlice<UInt8>) throws(MTProtoError) -> TransportFrame? {
        guard let count = Framing.word(bytes) else { return nil }
        if count & 1 << 31 != 0 {
            bytes = bytes.dropFirst(4)
            return .quickAck(count)
        }
        return try take(Int(count), after: 4, &bytes)
    }

    private mutating func nextFull(_ bytes: inout ArraySlice<UInt8>) throws(MTProtoError) -> TransportFrame? {
        guard let count = Framing.word(bytes).map(Int.init) else { return nil }
        guard count >= 16, count % 4 == 0, count <= Framing.maxFrameBytes else { throw Framing.wrongLength }
        guard bytes.count >= count else { return nil }
        let frame = bytes.prefix(count)
        guard Framing.word(frame.suffix(4)) == Framing.checksum(frame.dropLast(4)) else {
            throw .broken("it sent a frame with a wrong checksum")
        }
        let number = Framing.word(frame.dropFirst(4))
        // A server that refuses the connection sends its error code in a frame without a valid number.
        guard number == received || count == 16 else { throw .broken("it sent frames in the wrong order") }
        received &+= 1
        bytes = bytes.dropFirst(count)
        return try Framing.meaning(of: frame.dropFirst(8).dropLast(4))
    }

    private func take(
        _ count: Int, after header: Int, _ bytes: inout ArraySlice<UInt8>
    ) throws(MTProtoError) -> TransportFrame? {
        guard count >= 4, count <= Framing.maxFrameBytes, kind == .padded || count % 4 == 0 else {
            throw Framing.wrongLength
        }
        guard bytes.count >= header + count else { return nil }
        let content = bytes.dropFirst(header).prefix(count)
        bytes = bytes.dropFirst(header + count)
        return try Framing.meaning(of: content)
    }

    /// Interprets a frame's content. Content too short for a message is an error code, a number below zero.
    private static func meaning(of content: ArraySlice<UInt8>) throws(MTProtoError) -> TransportFrame {
        guard content.count < PlainMessage.headerCount else { return .packet(content) }
        guard let word = word(content), Int32(bitPattern: word) < 0, word != 1 << 31 else { throw wrongLength }
        return .error(-Int32(bitPattern: word))
    }

    private static var wrongLength: MTProtoError { .broken("it sent a frame with an invalid length") }

    private static func word(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        guard bytes.count >= 4 else { return nil }
        return bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) }
    }

    private func append(_ word: UInt32, _ bytes: inout [UInt8]) {
        withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.withUnsafeBytes { Zlib.checksum($0) }
    }
}

/// The ways to frame packets on a connection. Source: https://core.telegram.org/mtproto/mtproto-transports
package enum TransportKind: String, Sendable, CaseIterable {
    case abridged
    case intermediate
    /// Frames with random padding, which hides lengths.
    case padded
    /// Frames with numbers and checksums.
    case full

    /// The bytes that identify the transport to the server, in an obfuscated header or at the beginning of a plain connection.
    var tag: [UInt8] {
        switch self {
        case .abridged: [0xef, 0xef, 0xef, 0xef]
        case .intermediate: [0xee, 0xee, 0xee, 0xee]
        case .padded: [0xdd, 0xdd, 0xdd, 0xdd]
        case .full: []
        }
    }

    /// The first bytes of a plain connection.
    var greeting: [UInt8] { self == .abridged ? [0xef] : tag }
}

/// The content of a frame from a server.
enum TransportFrame: Equatable {
    /// A packet, where it lies among the received bytes.
    case packet(ArraySlice<UInt8>)
    /// The token of a packet that the server has received.
    case quickAck(UInt32)
    /// An error code. 404: the server does not know the key; 429: too many connections; 444: the server is of another data centre.
    case error(Int32)
}
