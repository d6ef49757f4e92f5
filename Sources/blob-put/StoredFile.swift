import Blob
import JSON

/// What is in the store under a file's key, as those are told who wanted to store the same.
struct StoredFile: Sendable {
    let json: JSONObject
    private static let keys = ["size_bytes", "sha256", "content_type"]

    init(_ info: BlobInfo) {
        json = [
            "size_bytes": .integer(info.sizeBytes), "sha256": info.metadata.sha256.map { .string($0) },
            "content_type": info.metadata.contentType.map { .string($0) },
        ]
    }

    /// - Parameter payload: of the file, or what another process told.
    init(_ payload: JSONObject) {
        json = JSONObject(StoredFile.keys.compactMap { key in payload[key].map { .init(key: key, value: $0) } })
    }

    /// Whether these are the bytes of a fetched file, as far as it is known.
    func isSame(as fetched: JSONObject) -> Bool { json["sha256"] == nil || json["sha256"] == fetched["sha256"] }

    func added(to fetched: JSONObject) -> JSONObject {
        var payload = fetched
        for key in StoredFile.keys { payload[key] = json[key] ?? payload[key] }
        return payload
    }
}
