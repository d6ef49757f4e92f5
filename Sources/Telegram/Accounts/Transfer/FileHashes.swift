import Crypto
import MTProto
import TL

/// The SHA-256s of a file's ranges as Telegram tells them, asked for as they are needed: by them is known what others send for it. What
/// Telegram itself sends is known by each message's own key.
///
/// Source: https://core.telegram.org/cdn#verifying-files
actor FileHashes {
    struct Range: Sendable {
        let offset: Int64
        let count: Int
        let sha256: [UInt8]
    }

    private static let id: UInt32 = 0xf39b_035c
    /// What a server may tell at a time.
    private static let mostRanges = 4096

    private var ranges: [Int64: Range] = [:]
    private let ask: @Sendable (_ offset: Int64) async throws -> [UInt8]
    private var isAsking = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// - Parameter ask: for the hashes from an offset on, as TL bytes of `Vector<FileHash>`.
    init(known: [Range], _ ask: @escaping @Sendable (_ offset: Int64) async throws -> [UInt8]) {
        self.ask = ask
        for range in known { ranges[range.offset] = range }
    }

    /// The ranges that a piece consists of.
    ///
    /// - Throws: what `ask` does; `MTProtoError`, `protocolBroken`, when Telegram does not tell them.
    func covering(_ offset: Int64, count: Int) async throws -> [Range] {
        while true {
            if let known = known(offset, count) { return known }
            if isAsking {
                // One question is answered with the hashes of many pieces.
                await withCheckedContinuation { waiting.append($0) }
                continue
            }
            try await learn(offset, count)
        }
    }

    private func learn(_ offset: Int64, _ count: Int) async throws {
        isAsking = true
        defer {
            isAsking = false
            for waiter in waiting { waiter.resume() }
            waiting = []
        }
        add(try FileHashes.read(try await ask(offset)))
        guard known(offset, count) != nil else {
            throw MTProtoError(.protocolBroken, "Telegram does not tell the hashes of a file that others send for it")
        }
    }

    func add(_ new: [Range]) {
        for range in new { ranges[range.offset] = range }
    }

    private func known(_ offset: Int64, _ count: Int) -> [Range]? {
        var (found, at): ([Range], Int64) = ([], offset)
        while at < offset + Int64(count) {
            guard let range = ranges[at], at + Int64(range.count) <= offset + Int64(count) else { return nil }
            found.append(range)
            at += Int64(range.count)
        }
        return found
    }

    /// - Throws: `MTProtoError`, `protocolBroken`.
    static func read(_ bytes: [UInt8]) throws(MTProtoError) -> [Range] {
        var reader = TLReader(bytes)
        do { return try read(&reader) } catch {
            throw MTProtoError(.protocolBroken, "the server breaks the protocol: hashes that are none")
        }
    }

    static func read(_ reader: inout TLReader) throws(TLError) -> [Range] {
        let count = try reader.vector(elementBytes: 16)
        guard count <= mostRanges else { throw TLError(.oversized, "too many hashes", offset: reader.offset) }
        var ranges: [Range] = []
        for _ in 0..<count {
            guard try reader.word() == id else {
                throw TLError(.unexpectedConstructor, "no hash", offset: reader.offset)
            }
            let (offset, length, hash) = (try reader.long(), try reader.int(), try reader.bytes())
            guard offset >= 0, length > 0 else { throw TLError(.oversized, "no range", offset: reader.offset) }
            ranges.append(Range(offset: offset, count: Int(length), sha256: Array(hash)))
        }
        return ranges
    }
}

extension Sequence where Element == FileHashes.Range {
    /// Whether a piece is what the hashes say.
    func match(_ piece: ArraySlice<UInt8>, at offset: Int64) -> Bool {
        allSatisfy { range in
            let start = piece.startIndex + Int(range.offset - offset)
            return Hash.sha256(piece[start..<start + range.count]) == range.sha256
        }
    }
}
