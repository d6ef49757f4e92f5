import System

/// Opens `s3://bucket`, `s3://bucket/prefix` or `file:/path`, without sending anything.
///
/// - Throws: `.configuration` for an address, an endpoint or keys that cannot work.
package func openStore(
    _ text: String, s3 options: S3Options = S3Options(), environment: Environment = takingSecrets
) throws(BlobError) -> any BlobStore {
    switch try StoreAddress(text) {
    case .file(let path):
        return FileStore(root: path)
    case .s3(let bucket, let prefix):
        return S3Store(
            try S3Configuration(bucket: bucket, prefix: prefix, options: options, environment: environment))
    }
}

/// Reads the environment, and takes the secret keys out of it.
@Sendable package func takingSecrets(_ name: String) -> String? {
    ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].contains(name)
        ? Settings.takeSecret(name) : Settings.environment(name)
}

/// A checked store address: `s3://bucket/prefix` or `file:/path`.
enum StoreAddress: Equatable {
    case s3(bucket: String, prefix: String)
    case file(path: String)

    init(_ text: String) throws(BlobError) {
        if text.hasPrefix("s3://") {
            self = try StoreAddress.s3Address(text.dropFirst(5))
        } else if text.hasPrefix("file:") {
            self = try StoreAddress.fileAddress(text.dropFirst(5))
        } else {
            throw BlobError(.configuration, "the store must be s3://BUCKET, s3://BUCKET/PREFIX or file:/PATH")
        }
    }

    private static func s3Address(_ rest: Substring) throws(BlobError) -> StoreAddress {
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let bucket = String(rest[..<slash])
        guard isBucketName(bucket) else {
            // A login does not belong here, and its secret does not belong in a message.
            let name = bucket.contains { ":@".contains($0) } ? "that" : "'\(bucket.printable)'"
            throw BlobError(
                .configuration,
                "\(name) is not a bucket name, which has 3 to 63 letters, digits, '.', '_' and '-' (s3://BUCKET)"
            )
        }
        var prefix = String(rest[slash...].dropFirst())
        if prefix.hasSuffix("/") { prefix.removeLast() }
        if !prefix.isEmpty { try ObjectKey.check(prefix) }
        return .s3(bucket: bucket, prefix: prefix)
    }

    private static func isBucketName(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let isAlphanumeric = { (byte: UInt8) in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
        guard (3...63).contains(bytes.count), let first = bytes.first, let last = bytes.last else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last) && !name.contains("..")
            && bytes.allSatisfy { isAlphanumeric($0) || ".-_".utf8.contains($0) }
    }

    private static func fileAddress(_ rest: Substring) throws(BlobError) -> StoreAddress {
        let path = rest.hasPrefix("//") ? rest.dropFirst(2) : rest
        guard path.hasPrefix("/"), !path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw BlobError(
                .configuration,
                "a file store needs an absolute path: file:/PATH, or file:$PWD/PATH for one below the current folder")
        }
        let segments = path.split(separator: "/")
        guard !segments.contains(".."), !segments.isEmpty else {
            throw BlobError(.configuration, "a file store must be a folder other than /, without '..': file:/PATH")
        }
        return .file(path: "/" + segments.joined(separator: "/"))
    }
}
