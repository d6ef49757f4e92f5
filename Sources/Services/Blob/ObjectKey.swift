/// Limits that S3 sets, and that the file store keeps too, so that a store can be exchanged for the other.
enum ObjectKey {
    static let maxBytes = 1024

    /// Refuses a key that could leave its folder or that servers and proxies would read in different ways.
    static func check(_ key: String) throws(BlobError) {
        guard !key.isEmpty else { throw BlobError(.invalid, "the key is empty") }
        guard key.utf8.count <= maxBytes else {
            throw BlobError(.invalid, "the key is longer than \(maxBytes) bytes")
        }
        guard !key.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw BlobError(.invalid, "the key has a control character")
        }
        for segment in key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard !segment.isEmpty else {
                throw BlobError(.invalid, "the key '\(key)' has an empty part; parts are separated by one '/'")
            }
            guard !segment.elementsEqual(".".utf8), !segment.elementsEqual("..".utf8) else {
                throw BlobError(.invalid, "the key '\(key)' has a part '.' or '..'")
            }
        }
    }
}
