/// How to reach an S3 server, where it is not what the environment says. nil and defaults leave it to that.
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
    /// What presigned URLs begin with, when people reach the server by another name than the tools.
    package var publicEndpoint: String?
    package var region: String?
    package var addressing: Addressing?
    package var credentialsFile: String?
    /// Files from this size on are sent in parts. One request costs a server the least; parts are for what one would not want to
    /// send again as a whole.
    package var multipartThresholdBytes: Int64 = 512 << 20
    /// At least 5 MiB; larger where the file would need more than 10,000 parts.
    package var partSizeBytes: Int64 = 64 << 20
    package var parallelParts = 4
    /// Makes the bucket when it is not there.
    package var createsBucket = false
    /// Whether a request's signature covers its body. Only https may do without: there TLS guards it.
    package var signsPayload = true

    package init() {}
}

/// The value of an environment variable.
package typealias Environment = @Sendable (_ name: String) -> String?
