package import ArgumentParser
import Blob
import Options
import Stage
import System

/// The tool, as the program that holds all tools runs it.
package let command: any AsyncParsableCommand.Type = BlobPut.self

struct BlobPut: Tool {
    static let configuration = CommandConfiguration(
        commandName: "blob-put",
        abstract: "Store files in S3 or a folder, and say where they are.",
        discussion: """
            Reads events.media.fetched, stores the file that each names unless the store has it, and writes \
            events.dl.video.ready or events.dl.audio.ready with a presigned URL, or …failed with the reason; everything else \
            passes through unchanged. The file then belongs to the cache of local copies. With --file it stores one file and ends. \
            The S3 keys come from the environment or --credentials-file.

            Examples: media-fetch | blob-put --store s3://media | tg-send
                      blob-put --store s3://backup --file dump.sql.gz | jq -r .payload.url
            """,
        version: tgpipeVersion)

    @OptionGroup var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Store") var store: StoreOptions
    @OptionGroup(title: "Uploads") var upload: UploadOptions
    @OptionGroup(title: "Storing one file") var single: SingleOptions

    @Option(help: ArgumentHelp("How many files are stored at once.", valueName: "n"))
    var concurrency: Int = 4

    func validate() throws {
        guard (1...64).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 64") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let store = try store.open(common, s3: upload.s3)
        if let file = single.file {
            let sink = try await EventOutput(output, runtime: runtime)
            let put = SingleFile(path: file, options: single, store: store, expires: self.store.expires.duration)
            // Asked to end, it ends: what was sent of the file is of no use.
            guard let stored = try await runtime.shutdown.interrupting(put.run) else { throw CancellationError() }
            try await sink.write([stored])
            return .success
        }
        let cache = MediaCache(directory: try runtime.directory("media/cache"))
        let storing = MediaStoring(
            log: runtime.log, store: store, cache: cache, expires: self.store.expires.duration,
            shared: SharedWork(runtime, name: "store", lease: input.queue.lease.duration),
            isFromQueue: input.isFromQueue)
        return try await runtime.work(
            input, output, concurrency: concurrency, accepting: { $0 == MediaStoring.accepted },
            givingUp: storing.giveUp, handle: storing.handle)
    }
}

struct UploadOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("Files from this size on are sent in parts.", valueName: "size"))
    var multipartThreshold: ByteSize = ByteSize(S3Options().multipartThresholdBytes)

    @Option(help: ArgumentHelp("How large the parts are: from 5M to 5G.", valueName: "size"))
    var partSize: ByteSize = ByteSize(S3Options().partSizeBytes)

    @Option(help: ArgumentHelp("How many parts of a file are sent at once.", valueName: "n"))
    var parallelParts: Int = S3Options().parallelParts

    @Flag(help: "Make the bucket when it is not there.")
    var createBucket = false

    @Flag(help: "Leave the body out of the signature, which saves reading it twice; over https only.")
    var unsignedPayload = false

    var s3: S3Options {
        var options = S3Options()
        options.multipartThresholdBytes = multipartThreshold.bytes
        options.partSizeBytes = partSize.bytes
        options.parallelParts = parallelParts
        options.createsBucket = createBucket
        options.signsPayload = !unsignedPayload
        return options
    }
}
