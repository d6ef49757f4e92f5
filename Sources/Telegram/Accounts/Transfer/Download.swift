import JSON
import System
import MTProto
import TL

/// Downloads one file from Telegram.
///
/// Source: https://core.telegram.org/api/files#downloading-files
struct Download: Sendable {
    /// The number of redirects (another data centre, the CDN, a new file reference) after which a piece fails.
    private static let maxRedirects = 32

    private let file: RemoteFile
    private let route: DownloadRoute
    private let target: DownloadTarget
    private let call: PieceCall
    private let settings: TransferSettings
    private let disk: BlockingThread

    /// - Throws: `AccountError`, `TLError`.
    init(_ file: RemoteFile, to path: String, host: any TransferHost, settings: TransferSettings) async throws {
        (self.file, self.settings, disk) = (file, settings, BlockingThread())
        call = PieceCall(host: host, settings: settings)
        route = try DownloadRoute(file, host, call)
        target = try await disk.run { try DownloadTarget(path, identity: Download.identity(file)) }
    }

    /// Returns what identifies the file for a resumed download. The file reference is no part of it, because it
    /// changes.
    private static func identity(_ file: RemoteFile) -> JSONObject {
        [
            "kind": file.location["_"], "id": file.location["id"]?.long.map { .string("\($0)") },
            "thumb": file.location["thumb_size"], "size": file.sizeBytes.map { .integer($0) },
            "piece": .integer(Int64(TransferSettings.pieceBytes)),
        ]
    }

    /// The number of pieces, a shorter last one included; `Int.max` if the size is unknown.
    private var pieceCount: Int {
        guard let size = file.sizeBytes else { return .max }
        return Int((size + Int64(TransferSettings.pieceBytes) - 1) / Int64(TransferSettings.pieceBytes))
    }

    func run(_ onProgress: @escaping TransferProgress) async throws {
        let queue = PieceQueue(
            count: pieceCount, done: target.done, doneBytes: target.doneBytes(of: file.sizeBytes),
            onProgress: onProgress)
        let (target, sizeBytes) = (target, file.sizeBytes)
        try await settings.spread(over: pieceCount - target.done.count) { connection in
            guard let index = queue.next() else { return false }
            let offset = Int64(index) * Int64(TransferSettings.pieceBytes)
            let piece = try await piece(offset, connection: connection)
            try checkLength(piece.count, offset)
            if piece.count < TransferSettings.pieceBytes { queue.end(at: piece.isEmpty ? index : index + 1) }
            guard !piece.isEmpty else { return true }
            try await disk.run { try target.write(piece, piece: index) }
            queue.finished(bytes: piece.count)
            return true
        }
        try await disk.run { try target.finish(sizeBytes: sizeBytes) }
    }

    private func checkLength(_ count: Int, _ offset: Int64) throws(MTProtoError) {
        let expected = file.sizeBytes.map { Int(min($0 - offset, Int64(TransferSettings.pieceBytes))) }
        guard count <= TransferSettings.pieceBytes, expected == nil || count == expected else {
            throw MTProtoError(.protocolBroken, "Telegram broke the protocol: a piece of a file has the wrong length")
        }
    }

    /// Requests a piece, and follows the redirects that Telegram answers with.
    private func piece(_ offset: Int64, connection: Int) async throws -> ArraySlice<UInt8> {
        for _ in 0..<Download.maxRedirects {
            let step = await route.step
            do {
                guard let piece = try await piece(step, offset, connection) else { continue }
                return piece
            } catch let error as TelegramRPCError {
                try await follow(error, step)
            } catch is TLError {
                throw MTProtoError(.protocolBroken, "Telegram broke the protocol: the answer is not a piece of a file")
            }
        }
        throw MTProtoError(
            .protocolBroken, "Telegram broke the protocol: it redirects the download of a file without end")
    }

    /// - Returns: nil if the piece must be requested again, by the route's current step.
    private func piece(_ step: DownloadRoute.Step, _ offset: Int64, _ connection: Int) async throws -> ArraySlice<
        UInt8
    >? {
        guard let cdn = step.cdn else { return try await fromTelegram(step, offset, connection) }
        return try await fromCDN(cdn.file, cdn.hashes, step, offset, connection)
    }

    /// - Returns: nil if Telegram redirects to the CDN.
    private func fromTelegram(_ step: DownloadRoute.Step, _ offset: Int64, _ connection: Int) async throws
        -> ArraySlice<
            UInt8
        >?
    {
        let answer = try await call(step.request(offset), at: .dataCenter(step.dataCenter), connection: connection)
        var reader = TLReader(answer)
        let id = try reader.word()
        if id == CDNFile.redirect {
            await route.redirect(try CDNFile(&reader), after: step.number)
            return nil
        }
        guard id == 0x096a_18d5 else { throw TLError(.unexpectedConstructor, "not a piece of a file", offset: 0) }
        // The file's type and its modification time are not used.
        _ = (try reader.word(), try reader.int())
        return try reader.bytes()
    }

    /// - Returns: nil if Telegram has uploaded the file to the CDN again, so that the CDN must be asked once more.
    private func fromCDN(
        _ cdn: CDNFile, _ hashes: FileHashes, _ step: DownloadRoute.Step, _ offset: Int64, _ connection: Int
    ) async throws -> ArraySlice<UInt8>? {
        let answer = try await call(cdn.request(offset), at: .cdn(cdn.dataCenter), connection: connection)
        switch try cdn.answer(answer, offset) {
        case .piece(let piece):
            let ranges = try await hashes.covering(offset, count: piece.count)
            guard ranges.match(piece[...], at: offset) else {
                throw MTProtoError(.protocolBroken, "Telegram's CDN sent data that does not match the file's SHA-256")
            }
            return piece[...]
        case .reupload(let token):
            let newHashes = try await call(
                cdn.reuploadRequest(token), at: .dataCenter(step.dataCenter), connection: connection)
            await hashes.add(try FileHashes.read(newHashes))
            return nil
        }
    }

    /// Changes the route as an error demands; throws an error that no other route can avoid.
    private func follow(_ error: TelegramRPCError, _ step: DownloadRoute.Step) async throws {
        if let dataCenter = error.dataCenter {
            try await route.move(to: dataCenter, after: step.number)
        } else if FileReference.isRefused(error) {
            try await route.refresh(after: step.number)
        } else if step.cdn != nil, ["FILE_TOKEN_INVALID", "REQUEST_TOKEN_INVALID"].contains(error.name) {
            try await route.leaveCDN(after: step.number)
        } else {
            throw error
        }
    }
}
