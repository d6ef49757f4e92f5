import JSON

/// What the file store knows of an object besides its bytes.
struct Sidecar {
    var sizeBytes: Int64
    var metadata: BlobMetadata

    private enum Key {
        static let sizeBytes = "size_bytes"
        static let contentType = "content_type"
        static let fileName = "file_name"
        static let user = "user"
    }

    /// The metadata itself is bounded by what S3 takes.
    private static let maxBytes: Int64 = 64 << 10

    init(sizeBytes: Int64, metadata: BlobMetadata) {
        self.sizeBytes = sizeBytes
        self.metadata = metadata
    }

    /// nil when there is none, or it is not one that this store wrote.
    init?(path: String) {
        var bytes: [UInt8] = []
        guard let file = try? LocalFile(path: path), file.sizeBytes <= Sidecar.maxBytes,
            (try? file.read(from: 0, count: file.sizeBytes, cancellation: Cancellation()) { bytes += $0 }) != nil,
            let json = try? JSON(parsing: bytes), let size = json[Key.sizeBytes]?.int
        else { return nil }
        sizeBytes = size
        metadata = BlobMetadata(contentType: json[Key.contentType]?.string, fileName: json[Key.fileName]?.string)
        for member in json[Key.user]?.object?.members ?? [] {
            metadata.user[member.key] = member.value.string
        }
    }

    var bytes: [UInt8] {
        let user = metadata.user.sorted { $0.key < $1.key }.filter { !$0.value.isEmpty }
        let json = JSON.object([
            Key.sizeBytes: .integer(sizeBytes),
            Key.contentType: metadata.contentType.map { .string($0) },
            Key.fileName: metadata.fileName.map { .string($0) },
            Key.user: .object(JSONObject(user.map { .init(key: $0.key, value: .string($0.value)) })),
        ])
        var output: [UInt8] = []
        json.write(to: &output)
        return output
    }
}
