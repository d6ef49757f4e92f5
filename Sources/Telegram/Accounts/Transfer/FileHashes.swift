import Crypto
import MTProto
import System
import TL

/// The SHA-256 hashes of a file's ranges, requested from Telegram when they are needed. They check pieces that come
/// from a CDN. Pieces from Telegram itself need no such check, because MTProto authenticates each message.
///
/// Source: https://core.telegram.org/cdn#verifying-files
actor FileHashes {
    struct Range: Sendable {
        let offset: Int64
        let count: Int
        let sha256: [UInt8]
    }

    private static let id: UInt32 = 0xf39b_035c
    /// The limit of the ranges in one answer.
    private static let maxRanges = 4096

    private var ranges: [Int64: Range] = [:]
    private let ask: @Sendable (_ offset: Int64) async throws -> [UInt8]
    /// The request in flight, for which other callers wait.
    private var asking: Promise<Void>?

    /// - Parameter ask: requests the hashes from an offset on; returns TL bytes of `Vector<FileHash>`.
    init(known: [Range], _ ask: @escaping @Sendable (_ offset: Int64) async throws -> [UInt8]) {
        self.ask = ask
        for range in known { ranges[range.offset] = range }
    }

    /// Returns the ranges that a piece consists of; requests them if they are unknown.
    ///
    /// - Throws: the errors of `ask`; `MTProtoError`, `protocolBroken`, if Telegram's answer does not cover the piece.
    func covering(_ offset: Int64, count: Int) async throws -> [Range] {
        while true {
            if let known = known(offset, count) { return known }
            guard let asking else {
                try await learn(offset, count)
                continue
            }
            // One answer holds the hashes of many pieces.
            try await asking.value()
        }
    }

    private func learn(_ offset: Int64, _ count: Int) async throws {
        let asked = Promise<Void>()
        asking = asked
        defer {
            asking = nil
            asked.fulfil(.success(()))
        }
        add(try FileHashes.read(try await ask(offset)))
        guard known(offset, count) != nil else {
            throw MTProtoError(
                .protocolBroken, "Telegram broke the protocol: it returned no hashes for a file that its CDN sends")
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
            throw MTProtoError(.protocolBroken, "Telegram broke the protocol: the answer is not a list of file hashes")
        }
    }

    static func read(_ reader: inout TLReader) throws(TLError) -> [Range] {
        let count = try reader.vector(elementBytes: 16)
        guard count <= maxRanges else { throw TLError(.oversized, "too many hashes", offset: reader.offset) }
        var ranges: [Range] = []
        for _ in 0..<count {
            guard try reader.word() == id else {
                throw TLError(.unexpectedConstructor, "not a file hash", offset: reader.offset)
            }
            let (offset, length, hash) = (try reader.long(), try reader.int(), try reader.bytes())
            guard offset >= 0, length > 0 else {
                throw TLError(.oversized, "not a range of a file", offset: reader.offset)
            }
            ranges.append(Range(offset: offset, count: Int(length), sha256: Array(hash)))
        }
        return ranges
    }
}

extension Sequence where Element == FileHashes.Range {
    /// Returns whether a piece has these hashes.
    func match(_ piece: ArraySlice<UInt8>, at offset: Int64) -> Bool {
        allSatisfy { range in
            let start = piece.startIndex + Int(range.offset - offset)
            return Hash.sha256(piece[start..<start + range.count]) == range.sha256
        }
    }
}
