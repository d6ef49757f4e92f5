import HTTP
import JSON
import System

/// Combines options and environment, and checks them.
struct S3Configuration: Sendable {
    var bucket: String
    var prefix: String
    var credentials: S3Credentials
    var region: String
    var endpoint: S3Endpoint
    var publicEndpoint: S3Endpoint
    var options: S3Options

    static let minPartBytes: Int64 = 5 << 20
    static let maxPartBytes: Int64 = 5 << 30

    init(bucket: String, prefix: String, options: S3Options, environment: Environment) throws(BlobError) {
        func value(_ names: [String]) -> String? {
            for name in names {
                if let value = environment(name), !value.isEmpty { return value }
            }
            return nil
        }
        self.bucket = bucket
        self.prefix = prefix
        self.options = options
        credentials = try S3Credentials(
            file: options.credentialsFile ?? value(["TGPIPE_S3_CREDENTIALS_FILE"]), environment: environment)
        region = options.region ?? value(["AWS_REGION", "AWS_DEFAULT_REGION"]) ?? "us-east-1"
        guard S3Configuration.isRegion(region) else {
            throw BlobError(.configuration, "the S3 region must be a word such as us-east-1")
        }
        var addressing = options.addressing
        if addressing == nil, let word = value(["TGPIPE_S3_ADDRESSING"]) {
            addressing = S3Options.Addressing(rawValue: word)
            guard addressing != nil else {
                throw BlobError(.configuration, "TGPIPE_S3_ADDRESSING must be path or virtual-host")
            }
        }
        let server = options.endpoint ?? value(["TGPIPE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
        endpoint = try S3Endpoint(server: server, bucket: bucket, addressing: addressing)
        publicEndpoint = endpoint
        if let server = options.publicEndpoint ?? value(["TGPIPE_S3_PUBLIC_ENDPOINT"]) {
            publicEndpoint = try S3Endpoint(server: server, bucket: bucket, addressing: addressing)
        }
        try checkLimits()
    }

    private func checkLimits() throws(BlobError) {
        guard (S3Configuration.minPartBytes...S3Configuration.maxPartBytes).contains(options.partSizeBytes) else {
            throw BlobError(.configuration, "the part size must be between 5 MiB and 5 GiB")
        }
        guard (1...64).contains(options.parallelParts) else {
            throw BlobError(.configuration, "the number of parallel parts must be between 1 and 64")
        }
        guard options.multipartThresholdBytes >= S3Configuration.minPartBytes else {
            throw BlobError(.configuration, "the size from which files are sent in parts must be at least 5 MiB")
        }
        guard options.signsPayload || endpoint.isEncrypted else {
            throw BlobError(.configuration, "bodies may be left out of the signature only if the endpoint is https")
        }
    }

    static func isRegion(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
            }
    }
}

/// Says how to reach an S3 server. An option that is nil is taken from the environment, or has a default:
///
/// | option | environment |
/// | --- | --- |
/// | `endpoint` | `TGPIPE_S3_ENDPOINT`, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`; else Amazon's own |
/// | `publicEndpoint` | `TGPIPE_S3_PUBLIC_ENDPOINT`; else the endpoint |
/// | `region` | `AWS_REGION`, `AWS_DEFAULT_REGION`; else `us-east-1` |
/// | `addressing` | `TGPIPE_S3_ADDRESSING` (`path`, `virtual-host`); else by path where an endpoint is given |
/// | `credentialsFile` | `TGPIPE_S3_CREDENTIALS_FILE` |
///
/// The keys come from that file, else from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
package struct S3Options: Sendable {
    package enum Addressing: String, Sendable, CaseIterable {
        /// `https://server/bucket/key`
        case path
        /// `https://bucket.server/key`
        case virtualHost = "virtual-host"
    }

    package var endpoint: String?
    /// The server in presigned URLs, when people use another name for it than the tools.
    package var publicEndpoint: String?
    package var region: String?
    package var addressing: Addressing?
    package var credentialsFile: String?
    /// The size in bytes from which files are sent in parts. One request costs a server the least; parts are for
    /// files that are too large to send again as a whole.
    package var multipartThresholdBytes: Int64 = 512 << 20
    /// The size of a part in bytes: at least 5 MiB, and more when the file would need over 10,000 parts.
    package var partSizeBytes: Int64 = 64 << 20
    package var parallelParts = 4
    /// Is true if a missing bucket is made.
    package var createsBucket = false
    /// Is true if a request's signature covers its body. Only https may leave this out, because TLS protects the body.
    package var signsPayload = true

    package init() {}
}

/// Returns the value of an environment variable.
package typealias Environment = @Sendable (_ name: String) -> String?

/// The keys that sign requests.
struct S3Credentials: Sendable {
    var accessKey: String
    var secretKey: String
    var sessionToken: String?

    /// Reads the keys from a file when one is named, otherwise from the environment; never half from each.
    ///
    /// - Throws: `.configuration`.
    init(file: String?, environment: Environment) throws(BlobError) {
        var values: [String: String] = [:]
        if let file {
            values = try S3Credentials.values(inFile: file, profile: environment("AWS_PROFILE") ?? "default")
        } else {
            for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
                values[name.lowercased()] = environment(name)
            }
        }
        guard let accessKey = values["aws_access_key_id"], let secretKey = values["aws_secret_access_key"],
            !accessKey.isEmpty, !secretKey.isEmpty
        else {
            let place = file.map { "in \($0)" } ?? "in the environment"
            throw BlobError(.configuration, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must both be set \(place)")
        }
        guard (accessKey + secretKey).unicodeScalars.allSatisfy({ (0x21...0x7E).contains($0.value) }) else {
            throw BlobError(.configuration, "the S3 keys contain characters that are not allowed in keys")
        }
        self.accessKey = accessKey
        self.secretKey = secretKey
        sessionToken = values["aws_session_token"].flatMap { $0.isEmpty ? nil : $0 }
        KnownSecrets.remember(secretKey)
        if let sessionToken { KnownSecrets.remember(sessionToken) }
    }

    func signer(region: String) -> SigV4 {
        SigV4(accessKey: accessKey, secretKey: secretKey, sessionToken: sessionToken, region: region)
    }

    /// `name = value` lines, with or without `[profile]` headings; names in either case, so that an environment file serves too.
    private static func values(inFile path: String, profile: String) throws(BlobError) -> [String: String] {
        let file: LocalFile
        do throws(BlobError) {
            file = try LocalFile(path: path)
        } catch {
            throw BlobError(.configuration, error.message)
        }
        guard file.sizeBytes <= 64 << 10 else { throw BlobError(.configuration, "\(path) is not a credentials file") }
        var bytes: [UInt8] = []
        try file.read(from: 0, count: file.sizeBytes, cancellation: Cancellation()) { bytes += $0 }
        var values: [String: String] = [:]
        var isOurs = true
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let line = trimmed(line)
            if line.hasPrefix("["), line.hasSuffix("]") { isOurs = trimmed(line.dropFirst().dropLast()) == profile }
            guard isOurs, !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") else { continue }
            let value = trimmed(line[line.index(after: equals)...])
            let isQuoted = value.count >= 2 && value.first == value.last && (value.first == "\"" || value.first == "'")
            values[trimmed(line[..<equals]).lowercased()] = String(isQuoted ? value.dropFirst().dropLast() : value)
        }
        return values
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let start = text.drop(while: \.isWhitespace)
        return start.lastIndex { !$0.isWhitespace }.map { start[...$0] } ?? ""
    }
}

/// Makes the URLs of a bucket and its objects.
struct S3Endpoint: Sendable {
    /// The server; nil for Amazon's server of the region.
    private let server: WebURL?
    private let bucket: String
    private let addressing: S3Options.Addressing

    /// - Parameter server: `https://host[:port][/path]`; nil for Amazon's own.
    /// - Throws: `.configuration`.
    init(server: String?, bucket: String, addressing: S3Options.Addressing?) throws(BlobError) {
        self.bucket = bucket
        guard let server else {
            self.server = nil
            // A certificate for *.s3.amazonaws.com covers no name with more dots, and a host name has no capitals.
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

    /// Is true if the server depends on the region.
    var isAmazon: Bool { server == nil }

    /// Returns the domain of a region of Amazon's. Source: the partitions of the AWS SDKs.
    private static func domain(of region: String) -> String {
        let domains = [
            ("cn-", "amazonaws.com.cn"), ("us-iso-", "c2s.ic.gov"), ("us-isob-", "sc2s.sgov.gov"),
            ("us-isof-", "csp.hci.ic.gov"), ("eu-isoe-", "cloud.adc-e.uk"), ("eusc-", "amazonaws.eu"),
        ]
        return domains.first { region.hasPrefix($0.0) }?.1 ?? "amazonaws.com"
    }

    /// Returns scheme, authority and encoded path of the bucket, or of an object in it.
    func location(of key: String?, region: String) -> (scheme: String, authority: String, path: String) {
        var authority = "s3.\(region).\(S3Endpoint.domain(of: region))"
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
