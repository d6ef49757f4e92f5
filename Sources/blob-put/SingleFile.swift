import ArgumentParser
import Blob
import Envelope
import JSON
import Payloads
import Stage
import System

struct SingleOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("Store this file, write one events.blob.stored event, and exit.", valueName: "path"))
    var file: String?

    @Option(help: ArgumentHelp("The media type. Default: the type of the file's extension.", valueName: "type"))
    var contentType: String?

    @Option(help: ArgumentHelp("The file name that browsers offer. Default: the file's own name.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Metadata to keep with the object, as NAME=VALUE. May be repeated.", valueName: "pair"))
    var meta: [MetadataPair] = []

    func validate() throws {
        guard file != nil || (contentType == nil && name == nil && meta.isEmpty) else {
            throw ValidationError("--content-type, --name and --meta go with --file")
        }
    }
}

struct MetadataPair: ExpressibleByArgument, Sendable {
    let name: String
    let value: String

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else { return nil }
        name = String(argument[..<equals])
        value = String(argument[argument.index(after: equals)...])
    }
}

/// Stores one file that an option names, without reading events.
struct SingleFile: Sendable {
    let path: String
    let options: SingleOptions
    /// The form of the key; nil for the content address.
    let template: KeyTemplate?
    let store: any BlobStore
    let expires: Duration

    /// Stores the file, unless the store has its key.
    ///
    /// - Returns: The `events.blob.stored`.
    @Sendable func run() async throws -> Envelope {
        let given = try await BlockingThread.once { [path] () throws(ToolError) in try GivenFile(path) }
        let source = try LocalFile(path: given.path)
        let fileName = options.name ?? given.name ?? "file"
        let sha256 = try await source.sha256()
        let address = "blob/\(sha256)\(FileType.safeExtension(of: fileName).map { ".\($0)" } ?? "")"
        var values = KeyTemplate.values(fileName: fileName, at: .now)
        (values[.sha256], values[.key]) = (sha256, sha256)
        var key = try template?.key(values) ?? address
        let metadata = BlobMetadata(
            contentType: options.contentType ?? FileType.contentType(of: fileName), fileName: fileName,
            user: Dictionary(options.meta.map { ($0.name, $0.value) }) { $1 })
        let bar = ProgressBar()
        defer { bar.clear() }
        let (total, begun) = (source.sizeBytes, ContinuousClock.now)
        let show: @Sendable (Int64) -> Void = { sent in
            bar.show(
                ProgressBar.Figures(
                    title: fileName, state: "storing", fraction: total > 0 ? Double(sent) / Double(total) : nil,
                    doneBytes: sent, totalBytes: total,
                    bytesPerSecond: Double(sent) / max((ContinuousClock.now - begun).seconds, 0.001)))
        }
        var outcome = try await store.put(
            source, key: key, metadata: metadata, sha256: sha256, ifAbsent: true, onProgress: show)
        if case .existed(let found) = outcome, template?.isFixed == false, found.metadata.sha256 != sha256 {
            key = KeyTemplate.distinct(key, sha256: sha256)
            outcome = try await store.put(
                source, key: key, metadata: metadata, sha256: sha256, ifAbsent: true, onProgress: show)
        }
        var info = BlobInfo(key: key, sizeBytes: source.sizeBytes, metadata: metadata)
        if case .existed(let found) = outcome { info = found }
        return try event(info, sha256: outcome == .stored ? sha256 : info.metadata.sha256, existed: outcome != .stored)
    }

    private func event(_ info: BlobInfo, sha256: String?, existed: Bool) throws -> Envelope {
        let type = info.metadata.contentType ?? FileType.unknown
        let url = try store.presignedURL(
            info.key, expires: expires, contentType: type, fileName: info.metadata.fileName)
        let content = FileContent(sizeBytes: info.sizeBytes, sha256: sha256, contentType: type)
        return Envelope(
            BlobStored(
                store: store.name, key: info.key, url: url, urlExpiresAt: url.map { _ in Timestamp.now + expires },
                path: store.localPath(info.key), content: content, existed: existed))
    }
}
