import System

/// Options and environment, brought together and checked.
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
            throw BlobError(.configuration, "only an https endpoint may be sent bodies that are not signed")
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

/// Opens `s3://bucket`, `s3://bucket/prefix` or `file:/path`. Nothing is sent yet.
///
/// - Throws: `.configuration` for an address, an endpoint or keys that cannot work.
package func openStore(
    _ text: String, s3 options: S3Options = S3Options(), environment: Environment = Settings.environment
) throws(BlobError) -> any BlobStore {
    switch try StoreAddress(text) {
    case .file(let path):
        return FileStore(root: path)
    case .s3(let bucket, let prefix):
        return S3Store(
            try S3Configuration(bucket: bucket, prefix: prefix, options: options, environment: environment))
    }
}
