import HTTP
import JSON

/// Where a bucket is, and how its objects' URLs are made.
struct S3Endpoint: Sendable {
    /// nil: Amazon's server of the region.
    private let server: WebURL?
    private let bucket: String
    private let addressing: S3Options.Addressing

    /// - Parameter server: `https://host[:port][/path]`; nil for Amazon's own.
    init(server: String?, bucket: String, addressing: S3Options.Addressing?) throws(BlobError) {
        self.bucket = bucket
        guard let server else {
            self.server = nil
            // A certificate for *.s3.amazonaws.com does not cover a name with more dots, nor a host name capitals.
            let isHostName = !bucket.contains { $0 == "." || $0 == "_" || $0.isUppercase }
            self.addressing = addressing ?? (isHostName ? .virtualHost : .path)
            return
        }
        guard let url = WebURL(server), url.query == nil, url.fragment == nil, !url.hasCredentials else {
            throw BlobError(
                .configuration,
                "the S3 endpoint must be http://HOST[:PORT] or https://HOST[:PORT], without keys or a query")
        }
        self.server = url
        self.addressing = addressing ?? .path
    }

    var isEncrypted: Bool { server?.scheme != "http" }

    /// Whether the server depends on the region.
    var isAmazon: Bool { server == nil }

    /// Scheme, authority and encoded path of the bucket, or of an object in it.
    func location(of key: String?, region: String) -> (scheme: String, authority: String, path: String) {
        var authority = "s3.\(region).amazonaws.com"
        var path = ""
        if let server {
            let host = server.host.contains(":") ? "[\(server.host)]" : server.host
            authority = host + (server.port.map { ":\($0)" } ?? "")
            path = server.path.hasSuffix("/") ? String(server.path.dropLast()) : server.path
        }
        switch addressing {
        case .path: path += "/" + percentEncoded(bucket)
        case .virtualHost: authority = bucket + "." + authority
        }
        if let key {
            path += "/" + percentEncoded(key, keeping: "/")
        } else if path.isEmpty {
            path = "/"
        }
        return (server?.scheme ?? "https", authority, path)
    }
}
