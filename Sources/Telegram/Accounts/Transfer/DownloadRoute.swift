import JSON
import System
import TL

/// Knows where the pieces of a file are requested. That can change during a download: Telegram redirects to another
/// data centre or to its CDN, or demands a new file reference.
actor DownloadRoute {
    /// The way to request a piece at this moment.
    struct Step: Sendable {
        /// Counts the changes of the route. A request that failed by an older step only needs to be repeated by the
        /// current one.
        let number: Int
        let dataCenter: Int
        /// `upload.getFile` as TL bytes. It ends with offset and limit, which are replaced for each piece.
        let template: [UInt8]
        /// The file at the CDN, and the hashes that check its pieces; nil while Telegram itself serves the file.
        var cdn: (file: CDNFile, hashes: FileHashes)?
    }

    private let host: any TransferHost
    private let call: PieceCall
    private var file: RemoteFile
    private(set) var step: Step
    /// The request for a new file reference in flight, for which other callers wait.
    private var refreshing: Promise<Void>?

    /// - Throws: `TLError`, if the location is not an `InputFileLocation`.
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

    /// Continues in another data centre, which has the file.
    func move(to dataCenter: Int, after number: Int) throws {
        guard number == step.number else { return }
        file.dataCenter = dataCenter
        step = try DownloadRoute.direct(number + 1, file, host.schema)
    }

    /// Continues at the CDN.
    func redirect(_ cdn: CDNFile, after number: Int) {
        guard number == step.number else { return }
        let (call, dataCenter) = (call, step.dataCenter)
        let hashes = FileHashes(known: cdn.hashes) { offset in
            try await call(cdn.hashRequest(offset), at: .dataCenter(dataCenter), connection: 0)
        }
        step = Step(
            number: number + 1, dataCenter: dataCenter, template: step.template, cdn: (cdn, hashes))
    }

    /// Continues at Telegram itself, because the CDN no longer knows the file.
    func leaveCDN(after number: Int) throws {
        guard number == step.number else { return }
        step = try DownloadRoute.direct(number + 1, file, host.schema)
    }

    /// Gets a new file reference. Concurrent callers share one request.
    ///
    /// - Throws: `AccountError`, `referenceLost`.
    func refresh(after number: Int) async throws {
        guard number == step.number else { return }
        if let refreshing { return try await refreshing.value() }
        let refreshed = Promise<Void>()
        refreshing = refreshed
        defer {
            refreshing = nil
            refreshed.fulfil(.success(()))
        }
        let host = host
        guard let fresh = try await file.refreshed({ try await host.call($0, $1, CallOptions()) }) else {
            throw AccountError(
                .referenceLost,
                "the file can no longer be downloaded: its file reference has expired, and its message no longer exists"
            )
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
