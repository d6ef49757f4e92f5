package import ArgumentParser
import Crypto
import Blob
import Envelope
import Options
import Payloads
import Stage
import System

/// The tool's command, which the program `tgpipe` runs.
package let command: any AsyncParsableCommand.Type = BlobPut.self

struct BlobPut: Tool {
    static let configuration = CommandConfiguration(
        commandName: "blob-put",
        abstract: "Store files in S3 or a folder, and report where they are.",
        discussion: """
            Reads events.media.fetched and stores the file of each, unless the store already has it. Writes \
            events.dl.video.ready or events.dl.audio.ready with a presigned URL, or …failed with the reason. Forwards all \
            other events unchanged. The file is then moved to the local copies. With --file, stores one file and exits. \
            With --remove, removes the objects that commands.blob.remove names. The S3 keys come from the environment or from --credentials-file.

            Examples: media-fetch | blob-put --store s3://media | tg-send
                      blob-put --store s3://backup --file dump.sql.gz | jq -r .payload.url
                      blob-put --store file:/srv/media --key '{chat}/{date}/{message_id}-{name}'
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Store") var store: StoreOptions
    @OptionGroup(title: "Uploads") var upload: UploadOptions
    @OptionGroup(title: "Storing one file") var single: SingleOptions

    @Option(help: ArgumentHelp("The number of files to store at the same time.", valueName: "n"))
    var concurrency: Int = 4

    @Option(
        help: ArgumentHelp(
            "The key of an object: a text with fields such as {chat}, {date}, {message_id} and {name}. Default: its "
                + "content address.", valueName: "template"))
    var key: String?

    @Flag(help: "Remove the objects of the store that commands.blob.remove names.") var remove = false

    func validate() throws {
        guard (1...64).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 64") }
        let template = try template()
        if single.file == nil, template?.isFixed == true {
            throw ValidationError("--key names one object for all files: add a field such as {message_id} or {name}")
        }
        guard !remove || single.file == nil else { throw ValidationError("--remove does not go with --file") }
    }

    private func template() throws -> KeyTemplate? {
        do throws(BlobError) { return try key.map { (key) throws(BlobError) in try KeyTemplate(key) } } catch {
            throw ValidationError("--key: \(error.message)")
        }
    }

    var isOneShot: Bool { single.file != nil }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let store = try store.open(common, s3: upload.s3)
        if let file = single.file {
            let sink = try await EventOutput(output, runtime: runtime)
            let put = SingleFile(
                path: file, options: single, template: try template(), store: store,
                expires: self.store.expires.duration)
            // At a shutdown the upload ends at once, because a part of the file is of no use.
            guard let stored = try await runtime.shutdown.interrupting(put.run) else { throw CancellationError() }
            try await sink.write([stored])
            return .success
        }
        Hash.loadLibrary()
        let cache = MediaCache(directory: try runtime.directory("media/cache"))
        let storing = MediaStoring(
            log: runtime.log, store: store, template: try template(), cache: cache,
            expires: self.store.expires.duration,
            shared: SharedWork(runtime, name: "store", lease: input.queue.lease.duration),
            isFromQueue: input.isFromQueue, outages: runtime.outages)
        runtime.outages.watch(.store) { _ = try await store.head(BlobProbe.key) }
        let removal =
            remove
            ? Removal(log: runtime.log, store: store, isFromQueue: input.isFromQueue, outages: runtime.outages) : nil
        return try await runtime.work(
            input, output, concurrency: concurrency,
            accepting: { $0 == MediaFetched.type || ($0 == RemoveBlob.type && removal != nil) },
            givingUp: storing.giveUp,
            handle: { event, context in
                if let removal, event.type == RemoveBlob.type { return try await removal.handle(event) }
                return try await storing.handle(event, context)
            })
    }
}
