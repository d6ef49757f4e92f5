import JSON
import System
import MTProto
import TL

/// One file on its way from Telegram.
///
/// Source: https://core.telegram.org/api/files#downloading-files
struct Download: Sendable {
    /// How often one piece is sent from place to place.
    private static let mostHops = 32

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

    /// What is the same however often the file's reference changes.
    private static func identity(_ file: RemoteFile) -> JSONObject {
        [
            "kind": file.location["_"], "id": file.location["id"]?.long.map { .string("\($0)") },
            "thumb": file.location["thumb_size"], "size": file.sizeBytes.map { .integer($0) },
            "piece": .integer(Int64(TransferSettings.pieceBytes)),
        ]
    }

    /// Whole pieces of the file, and the rest.
    private var pieceCount: Int {
        guard let size = file.sizeBytes else { return .max }
        return Int((size + Int64(TransferSettings.pieceBytes) - 1) / Int64(TransferSettings.pieceBytes))
    }

    func run(_ onProgress: @escaping TransferProgress) async throws {
        let queue = PieceQueue(
            count: pieceCount, done: target.done, doneBytes: target.doneBytes(of: file.sizeBytes),
            onProgress: onProgress)
        let (target, sizeBytes) = (target, file.sizeBytes)
        try await settings.spread(over: pieceCount - target.done.count) { line in
            guard let index = queue.next() else { return false }
            let offset = Int64(index) * Int64(TransferSettings.pieceBytes)
            let piece = try await piece(offset, line: line)
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
            throw MTProtoError(.protocolBroken, "the server breaks the protocol: a piece of a file of another length")
        }
    }

    /// Asks wherever the file is by now.
    private func piece(_ offset: Int64, line: Int) async throws -> ArraySlice<UInt8> {
        for _ in 0..<Download.mostHops {
            let step = await route.step
            do {
                guard let piece = try await piece(step, offset, line) else { continue }
                return piece
            } catch let error as TelegramRPCError {
                try await follow(error, step)
            } catch is TLError {
                throw MTProtoError(.protocolBroken, "the server breaks the protocol: no piece of a file")
            }
        }
        throw MTProtoError(.protocolBroken, "the server breaks the protocol: a file is nowhere")
    }

    /// - Returns: nil when it has to be asked for again, maybe somewhere else.
    private func piece(_ step: DownloadRoute.Step, _ offset: Int64, _ line: Int) async throws -> ArraySlice<UInt8>? {
        guard let cdn = step.cdn else { return try await fromTelegram(step, offset, line) }
        return try await fromCDN(cdn.file, cdn.hashes, step, offset, line)
    }

    /// - Returns: nil when somebody else has to be asked.
    private func fromTelegram(_ step: DownloadRoute.Step, _ offset: Int64, _ line: Int) async throws -> ArraySlice<
        UInt8
    >? {
        let answer = try await call(step.request(offset), at: .dataCenter(step.dataCenter), line: line)
        var reader = TLReader(answer)
        let id = try reader.word()
        if id == CDNFile.redirect {
            await route.redirect(try CDNFile(&reader), after: step.number)
            return nil
        }
        guard id == 0x096a_18d5 else { throw TLError(.unexpectedConstructor, "no piece of a file", offset: 0) }
        // What kind of file it is, and when it was changed.
        _ = (try reader.word(), try reader.int())
        return try reader.bytes()
    }

    /// - Returns: nil when the CDN has to be asked again.
    private func fromCDN(
        _ cdn: CDNFile, _ hashes: FileHashes, _ step: DownloadRoute.Step, _ offset: Int64, _ line: Int
    ) async throws -> ArraySlice<UInt8>? {
        let answer = try await call(cdn.request(offset), at: .cdn(cdn.dataCenter), line: line)
        switch try cdn.answer(answer, offset) {
        case .piece(let piece):
            let ranges = try await hashes.covering(offset, count: piece.count)
            guard ranges.match(piece[...], at: offset) else {
                throw MTProtoError(.protocolBroken, "what Telegram's CDN sends is not the file (SHA-256)")
            }
            return piece[...]
        case .reupload(let wanted):
            let told = try await call(cdn.reuploadRequest(wanted), at: .dataCenter(step.dataCenter), line: line)
            await hashes.add(try FileHashes.read(told))
            return nil
        }
    }

    /// Does what a refusal asks for.
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
