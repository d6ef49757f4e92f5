import JSON
import TL

/// Where the pieces of a file are asked for, which changes while it is downloaded: Telegram names another data centre, hands over to
/// the CDN, or wants a new file reference.
actor DownloadRoute {
    /// How to ask at this moment.
    struct Step: Sendable {
        /// Counts the changes: who was refused on an old step has only to look again.
        let number: Int
        let dataCenter: Int
        /// `upload.getFile` as TL bytes, with an offset and a limit at its end that are put in for each piece.
        let template: [UInt8]
        /// What the CDN is asked for, and how its answers are checked.
        var cdn: (file: CDNFile, hashes: FileHashes)?
    }

    private let host: any TransferHost
    private let call: PieceCall
    private var file: RemoteFile
    private(set) var step: Step
    private var isRefreshing = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// - Throws: `TLError`, when the location is none.
    init(_ file: RemoteFile, _ host: any TransferHost, _ call: PieceCall) throws {
        (self.file, self.host, self.call) = (file, host, call)
        step = try DownloadRoute.direct(0, file, host.schema)
    }

    private static func direct(_ number: Int, _ file: RemoteFile, _ schema: TLSchema) throws -> Step {
        let pieceBytes = JSON.integer(Int64(TransferSettings.pieceBytes))
        let template = try schema.request(
            "upload.getFile",
            ["cdn_supported": true, "location": file.location, "offset": 0, "limit": pieceBytes])
        return Step(number: number, dataCenter: file.dataCenter, template: template.bytes)
    }

    /// The file is in another data centre.
    func move(to dataCenter: Int, after number: Int) throws {
        guard number == step.number else { return }
        file.dataCenter = dataCenter
        step = try DownloadRoute.direct(number + 1, file, host.schema)
    }

    /// The CDN has the file.
    func redirect(_ cdn: CDNFile, after number: Int) {
        guard number == step.number else { return }
        let (call, dataCenter) = (call, step.dataCenter)
        let hashes = FileHashes(known: cdn.hashes) { offset in
            try await call(cdn.hashRequest(offset), at: .dataCenter(dataCenter), line: 0)
        }
        step = Step(
            number: number + 1, dataCenter: dataCenter, template: step.template, cdn: (cdn, hashes))
    }

    /// The CDN does not know the file any more.
    func leaveCDN(after number: Int) throws {
        guard number == step.number else { return }
        step = try DownloadRoute.direct(number + 1, file, host.schema)
    }

    /// Gets a new file reference, once for all who were refused.
    ///
    /// - Throws: `AccountError`, `referenceLost`.
    func refresh(after number: Int) async throws {
        guard number == step.number else { return }
        guard !isRefreshing else {
            await withCheckedContinuation { waiting.append($0) }
            return
        }
        isRefreshing = true
        defer {
            isRefreshing = false
            for waiter in waiting { waiter.resume() }
            waiting = []
        }
        let host = host
        guard let fresh = try await file.refreshed({ try await host.call($0, $1, CallOptions()) }) else {
            throw AccountError(
                .referenceLost, "Telegram does not hand out the file any more: the message that it came with is gone")
        }
        file.location = fresh.location
        step = try DownloadRoute.direct(number + 1, file, host.schema)
    }
}

extension DownloadRoute.Step {
    func request(_ offset: Int64) -> [UInt8] {
        var bytes = template
        let tail = bytes.count - 12
        withUnsafeBytes(of: offset.littleEndian) { bytes.replaceSubrange(tail..<tail + 8, with: $0) }
        return bytes
    }
}
