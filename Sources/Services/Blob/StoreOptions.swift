package import ArgumentParser
import Glibc
package import Options
package import Stage
import System

/// Which store a tool uses, and how it reaches it. Keys are no arguments: they come from the environment or a file.
package struct StoreOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "s3://BUCKET, s3://BUCKET/PREFIX or file:/PATH. Default: a folder below the state folder. [env: TGPIPE_STORE]",
            valueName: "store"))
    package var store: String?

    @Option(
        help: ArgumentHelp(
            "The S3 server, when it is not Amazon's. [env: TGPIPE_S3_ENDPOINT, AWS_ENDPOINT_URL]", valueName: "url"))
    package var endpoint: String?

    @Option(
        help: ArgumentHelp(
            "What presigned URLs begin with, when people reach the server by another name. [env: TGPIPE_S3_PUBLIC_ENDPOINT]",
            valueName: "url"))
    package var publicEndpoint: String?

    @Option(help: ArgumentHelp("The S3 region. [env: AWS_REGION]", valueName: "region"))
    package var region: String?

    @Flag(help: "Whether the bucket is in the path or in the host name. [env: TGPIPE_S3_ADDRESSING]")
    package var addressing: S3Options.Addressing?

    @Option(
        help: ArgumentHelp(
            "Holds aws_access_key_id and aws_secret_access_key. Default: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from the "
                + "environment. [env: TGPIPE_S3_CREDENTIALS_FILE]", valueName: "file"))
    package var credentialsFile: String?

    @Option(help: ArgumentHelp("How long presigned URLs are valid; at most 7d.", valueName: "duration"))
    package var expires: Span = Span(MediaObject.defaultExpiry)

    package init() {}

    package func validate() throws {
        guard (Duration.seconds(1)...Duration.seconds(SigV4.maxPresignSeconds)).contains(expires.duration) else {
            throw ValidationError("--expires must be from 1s to 7d")
        }
    }

    /// Opens the store. Nothing is sent yet.
    ///
    /// - Parameter options: what is not among these arguments.
    /// - Throws: `BlobError` (78) for what cannot work.
    package func open(_ runtime: Runtime, s3 options: S3Options = S3Options()) throws -> any BlobStore {
        var options = options
        options.endpoint = endpoint
        options.publicEndpoint = publicEndpoint
        options.region = region
        options.addressing = addressing
        options.credentialsFile = credentialsFile
        let name = try store ?? Settings.environment("TGPIPE_STORE") ?? StoreOptions.ownFolder(of: runtime)
        return try openStore(name, s3: options)
    }

    /// For those who have no store.
    private static func ownFolder(of runtime: Runtime) throws -> String {
        let folder = try runtime.directory("store")
        guard let absolute = realpath(folder, nil) else { throw BlobError.system("unable to find \(folder)") }
        defer { free(absolute) }
        return "file:" + String(cString: absolute)
    }
}

extension S3Options.Addressing: EnumerableFlag {
    package static func name(for value: S3Options.Addressing) -> NameSpecification {
        switch value {
        case .path: .customLong("path-style")
        case .virtualHost: .customLong("virtual-host")
        }
    }
}
