package import ArgumentParser
package import Blob
import Glibc
import System

/// Selects a tool's object store and the way to reach it. Access keys are not arguments: they come from the environment
/// or a file.
package struct StoreOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The store: s3://BUCKET, s3://BUCKET/PREFIX or file:/PATH. Default: a folder in the state folder. "
                + "[env: TGPIPE_STORE]", valueName: "store"))
    package var store: String?

    @Option(
        help: ArgumentHelp(
            "The S3 server's address. Default: Amazon's. [env: TGPIPE_S3_ENDPOINT, AWS_ENDPOINT_URL]", valueName: "url")
    )
    package var endpoint: String?

    @Option(
        help: ArgumentHelp(
            "The S3 server's address in presigned URLs, when users reach it by another name. Default: the endpoint. "
                + "[env: TGPIPE_S3_PUBLIC_ENDPOINT]", valueName: "url"))
    package var publicEndpoint: String?

    @Option(help: ArgumentHelp("The S3 region. [env: AWS_REGION]", valueName: "region"))
    package var region: String?

    @Flag(help: "Put the bucket's name in the path, or in the host name. [env: TGPIPE_S3_ADDRESSING]")
    package var addressing: S3Options.Addressing?

    @Option(
        help: ArgumentHelp(
            "A file that holds aws_access_key_id and aws_secret_access_key. Default: AWS_ACCESS_KEY_ID and "
                + "AWS_SECRET_ACCESS_KEY from the environment. [env: TGPIPE_S3_CREDENTIALS_FILE]", valueName: "file"))
    package var credentialsFile: String?

    @Option(help: ArgumentHelp("How long presigned URLs are valid, from 1s to 7d.", valueName: "duration"))
    package var expires: Span = Span(.seconds(86_400))

    package init() {}

    package func validate() throws {
        guard (.seconds(1)...(.seconds(7 * 86_400))).contains(expires.duration) else {
            throw ValidationError("--expires must be from 1s to 7d")
        }
    }

    /// Opens the store without sending anything yet. The default store is the folder `store` in the state folder.
    ///
    /// - Parameter options: The settings that are not among these arguments.
    /// - Throws: `BlobError` or `ToolError` (78) for arguments that cannot work.
    package func open(_ common: CommonOptions, s3 options: S3Options = S3Options()) throws -> any BlobStore {
        var options = options
        options.endpoint = endpoint
        options.publicEndpoint = publicEndpoint
        options.region = region
        options.addressing = addressing
        options.credentialsFile = credentialsFile
        let name = try store ?? Settings.environment("TGPIPE_STORE") ?? defaultStore(common)
        return try openStore(name, s3: options)
    }

    private func defaultStore(_ common: CommonOptions) throws -> String {
        let folder = try common.stateFolder("store")
        try makeDirectory(folder, mode: 0o700)
        guard let absolute = realpath(folder, nil) else {
            throw ToolError(.localIO, "unable to find the folder \(folder): \(String(cString: strerror(errno)))")
        }
        defer { free(absolute) }
        return "file:" + String(cString: absolute)
    }
}

/// Sets how files are uploaded to a store.
package struct UploadOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("The size from which files are sent in parts.", valueName: "size"))
    package var multipartThreshold: ByteSize = ByteSize(S3Options().multipartThresholdBytes)

    @Option(help: ArgumentHelp("The size of a part, from 5M to 5G.", valueName: "size"))
    package var partSize: ByteSize = ByteSize(S3Options().partSizeBytes)

    @Option(help: ArgumentHelp("The number of parts of a file to send at the same time.", valueName: "n"))
    package var parallelParts: Int = S3Options().parallelParts

    @Flag(help: "Create the bucket if it does not exist.")
    package var createBucket = false

    @Flag(help: "Leave the body out of the signature, so that it is read only once. Works only over https.")
    package var unsignedPayload = false

    package init() {}

    /// Is true if none of the options differs from its default.
    package var isDefault: Bool {
        let (options, usual) = (s3, S3Options())
        return options.multipartThresholdBytes == usual.multipartThresholdBytes
            && options.partSizeBytes == usual.partSizeBytes && options.parallelParts == usual.parallelParts
            && options.createsBucket == usual.createsBucket && options.signsPayload == usual.signsPayload
    }

    package var s3: S3Options {
        var options = S3Options()
        options.multipartThresholdBytes = multipartThreshold.bytes
        options.partSizeBytes = partSize.bytes
        options.parallelParts = parallelParts
        options.createsBucket = createBucket
        options.signsPayload = !unsignedPayload
        return options
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
