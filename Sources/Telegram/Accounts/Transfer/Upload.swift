import JSON
import System
import TL

/// Uploads one file to Telegram.
///
/// Source: https://core.telegram.org/api/files#uploading-files
struct Upload: Sendable {
    /// The time in seconds for which Telegram is assumed to keep parts that no message uses.
    static let secondsKept: Int64 = 3 * 3600

    private let source: UploadSource
    private let fileID: Int64
    private let home: Int
    /// The record of the finished parts; nil if another process is uploading the same file.
    private let log: PieceLog?
    private let call: PieceCall
    private let settings: TransferSettings
    private let disk: BlockingThread

    /// - Parameter logPath: the file for the record of the finished parts.
    /// - Throws: `AccountError`.
    init(
        _ path: String, logPath: String, host: any TransferHost, settings: TransferSettings
    ) async throws {
        (disk, self.settings, home) = (BlockingThread(), settings, await host.homeDataCenter)
        call = PieceCall(host: host, settings: settings)
        source = try await disk.run { try UploadSource(path) }
        try await Upload.check(source, host)
        let (source, home) = (source, home)
        log = try await disk.run {
            var identity = try source.identity()
            identity["dc"] = .integer(Int64(home))
            return try PieceLog(
                logPath, identity: identity, secondsKept: Upload.secondsKept,
                details: ["file_id": .string("\(Int64.random(in: 1...Int64.max))")])
        }
        fileID = log?.details["file_id"]?.string.flatMap { Int64($0) } ?? Int64.random(in: 1...Int64.max)
    }

    private static func check(_ source: UploadSource, _ host: any TransferHost) async throws {
        guard source.partCount > TransferSettings.maxParts else { return }
        let isPremium = try await host.isPremium
        let limit = isPremium ? 2 * TransferSettings.maxParts : TransferSettings.maxParts
        guard source.partCount > limit else { return }
        let megabytes = limit * TransferSettings.pieceBytes / 1_000_000
        let hint = isPremium ? "" : "; accounts with Telegram Premium may upload twice that"
        throw AccountError(.tooLarge, "the file is larger than the \(megabytes) MB that this account may upload\(hint)")
    }

    var id: Int64 { fileID }

    /// Sends the parts that Telegram does not have yet.
    ///
    /// - Returns: an `InputFile`.
    func run(_ onProgress: @escaping TransferProgress) async throws -> JSON {
        let done = log?.done ?? []
        let doneBytes = done.filter { $0 < source.partCount }.reduce(0) { $0 + Int64(source.size(ofPart: $1)) }
        let queue = PieceQueue(count: source.partCount, done: done, doneBytes: doneBytes, onProgress: onProgress)
        try await settings.spread(over: source.partCount - done.count) { connection in
            guard let part = queue.next() else { return false }
            try await send(part, connection: connection)
            queue.finished(bytes: source.size(ofPart: part))
            return true
        }
        let checksum = try await disk.run { [source] in
            let checksum = source.isBig ? nil : try source.checksum()
            try source.checkUnchanged()
            return checksum
        }
        return .object([
            "_": checksum == nil ? "inputFileBig" : "inputFile", "id": .string("\(fileID)"),
            "parts": .integer(Int64(source.partCount)),
            "name": .string(lastPathComponent(source.path)),
            "md5_checksum": checksum.map { .string($0) },
        ])
    }

    /// Sends a part, even if it was sent before: Telegram may have lost it.
    func send(_ part: Int, connection: Int = 0) async throws {
        let (source, head, log) = (source, head(part), log)
        let request = try await disk.run { try source.request(head, part: part) }
        _ = try await call(request, at: .dataCenter(home), connection: connection)
        await disk.run { log?.add(part) }
    }

    /// Sends all parts again, because Telegram has lost them.
    func sendAgain() async throws {
        let queue = PieceQueue(count: source.partCount, done: [], doneBytes: 0) { _ in }
        try await settings.spread(over: source.partCount) { connection in
            guard let part = queue.next() else { return false }
            try await send(part, connection: connection)
            return true
        }
    }

    var partCount: Int { source.partCount }

    /// Returns the request up to the part's bytes: `upload.saveBigFilePart` or `upload.saveFilePart`.
    private func head(_ part: Int) -> [UInt8] {
        var writer = TLWriter(reserving: 20)
        writer.word(source.isBig ? 0xde7b_673d : 0xb304_a621)
        writer.long(fileID)
        writer.int(Int32(part))
        if source.isBig { writer.int(Int32(source.partCount)) }
        return writer.bytes
    }
}
