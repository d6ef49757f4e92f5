import Accounts
import ArgumentParser
import Blob
import Envelope
import Glibc
import JSON
import Logging
import Media
import Payloads
import Stage
import System

/// The options that fetch links into a folder, in place of events on the input.
struct LinkOptions: ParsableArguments, Sendable {
    @Argument(
        help: ArgumentHelp(
            "Fetch these links into a folder, or with --to-store into the store, and end, without events.",
            valueName: "link"))
    var links: [String] = []

    @Flag(help: "Fetch the sound alone.")
    var audio = false

    @Flag(help: "Fetch the pictures of the pages, up to 500 of each.")
    var images = false

    @Option(
        name: [.customShort("o"), .customLong("output-dir")], parsing: .unconditional,
        help: ArgumentHelp(
            "The folder for the files, made if it does not exist. Default: the current folder.", valueName: "folder"))
    var outputDir: String?

    @Flag(
        help:
            "Leave out files that the folder has already: of the same name and content, of a message of the same size.")
    var skipSame = false

    /// - Throws: `ValidationError` for options that do not go together.
    ///
    /// - Parameters:
    ///   - putsIntoStore: whether the links go into the store.
    ///   - isAccount: whether links to messages are read by an account.
    func validateTogether(putsIntoStore: Bool, isAccount: Bool) throws {
        if links.isEmpty, images { throw ValidationError("--images needs a link") }
        if audio, images { throw ValidationError("--audio and --images do not go together") }
        if links.isEmpty, audio { throw ValidationError("--audio needs a link") }
        if links.isEmpty, outputDir != nil { throw ValidationError("--output-dir needs a link") }
        if links.isEmpty, skipSame { throw ValidationError("--skip-same needs a link") }
        if putsIntoStore, outputDir != nil || skipSame {
            throw ValidationError("--to-store does not go with a folder: leave out --output-dir and --skip-same")
        }
        if putsIntoStore, isAccount, let link = links.first(where: { MessageLink($0) != nil }) {
            throw ValidationError(
                "--to-store fetches no links to messages: leave out --session, or --to-store and the link \(link)")
        }
        if outputDir == "" { throw ValidationError("--output-dir is empty: it needs a folder") }
        for link in links where !["http://", "https://"].contains(where: { link.lowercased().hasPrefix($0) }) {
            throw ValidationError("'\(link)' is not a link: it begins with neither http:// nor https://")
        }
    }
}

/// Fetches links into a folder, as a shell user wants them: under their titles, without a store and without Redis.
struct LinkFetch: Sendable {
    let runtime: Runtime
    let options: LinkOptions
    /// Reads links to messages of Telegram. Without an account, yt-dlp fetches those of public channels.
    let account: (any Account)?

    /// Fetches one link after the other, and prints the path of each file.
    ///
    /// - Parameter makeFetcher: makes the fetcher that works in a folder, which is removed at the end.
    /// - Returns: `no` if a link could not be fetched; the others are fetched nevertheless.
    /// - Throws: `ToolError` (74) for a folder that cannot be written to; `CancellationError` at a shutdown.
    func run(_ makeFetcher: (_ workFolder: String) throws -> MediaFetcher) async throws -> ExitStatus {
        var folder = options.outputDir ?? "."
        while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
        if access(folder, F_OK) != 0 { try makeDirectory(folder, mode: 0o777) }
        // The work folder is in the same file system, so that a finished file moves at once.
        var template = Array("\(folder)/.media-fetch-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw ToolError.localIO("unable to write to the folder \(folder)") }
        let work = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { removeTree(work) }
        let fetcher = try makeFetcher(work)
        var status = ExitStatus.success
        for link in options.links {
            do {
                let place = folder
                let isDone: Void? = try await runtime.shutdown.interrupting {
                    if let account, let message = MessageLink(link) {
                        try await fetch(message, account, work, place)
                    } else {
                        try await fetch(link, fetcher, place)
                    }
                }
                guard isDone != nil else { throw CancellationError() }
            } catch let error as MediaError {
                runtime.log.error("\(LinkFetch.shown(link)): \(error.reason)")
                status = .no
            } catch let error as any ReportableError where error.exitStatus == .no {
                runtime.log.error("\(LinkFetch.shown(link)): \(error.message)")
                status = .no
            }
        }
        return status
    }

    /// Puts the media of one link after the other into the store, and prints the URL of each object, or its path if the store makes no
    /// links.
    ///
    /// - Returns: `no` if a link could not be fetched or its media could not be stored; the others are nevertheless.
    func put(_ stage: FetchStage) async throws -> ExitStatus {
        let kind: MediaKind = options.images ? .image : options.audio ? .audio : .video
        // Nobody else may be there to remove what a killed process has left.
        await stage.uploads?.sweep()
        var status = ExitStatus.success
        for link in options.links {
            let bar = ProgressBar()
            defer { bar.clear() }
            do {
                let ready = try await runtime.shutdown.interrupting {
                    try await stage.put(link, kind) { bar.show(ProgressBar.Figures($0, LinkFetch.shown(link))) }
                }
                guard let ready else { throw CancellationError() }
                bar.clear()
                try LinkFetch.print(ready.url ?? ready.path ?? "\(stage.store.name)/\(ready.storedKey)")
            } catch let error as MediaError {
                runtime.log.error("\(LinkFetch.shown(link)): \(error.reason)")
                status = .no
            } catch let error as BlobError where error.code != .cancelled {
                runtime.log.error("\(LinkFetch.shown(link)): \(error.message)")
                status = .no
            }
        }
        return status
    }

    private func fetch(_ link: String, _ fetcher: MediaFetcher, _ folder: String) async throws {
        let bar = ProgressBar()
        defer { bar.clear() }
        let identity = try await fetcher.identify(link)
        guard options.images, !identity.isFile, let all = ItemRange(1, EventGroup.largest) else {
            let kind: MediaKind = options.images ? .image : options.audio ? .audio : .video
            return try await fetch(MediaJob(kind, identity), link, fetcher, folder, bar)
        }
        let list = try await fetcher.pictures(identity, all)
        var failure: MediaError?
        for item in list.items.prefix(Int(EventGroup.largest)) {
            do {
                let source = try await fetcher.identify(item.url ?? link)
                var job = MediaJob(.image, source, MediaVariant(item: item.place, itemID: item.fileID))
                (job.picture, job.title) = (item.file, item.title)
                try await fetch(job, link, fetcher, folder, bar)
            } catch let error as MediaError where error.code != .cancelled {
                bar.clear()
                runtime.log.warning("picture \(item.place): \(error.reason)")
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private func fetch(
        _ job: MediaJob, _ link: String, _ fetcher: MediaFetcher, _ folder: String, _ bar: ProgressBar
    ) async throws {
        let media = try await fetcher.fetch(
            job, onProgress: { bar.show(ProgressBar.Figures($0, LinkFetch.shown(link))) })
        bar.clear()
        let name = media.metadata.fileName.flatMap { FileName.safe($0) } ?? lastPathComponent(media.path)
        if options.skipsSame(media.path, in: folder, as: name) {
            runtime.log.notice("\(name) is there already")
            return try LinkFetch.print(LinkFetch.shown(name, in: folder))
        }
        try LinkFetch.print(LinkFetch.move(media.path, into: folder, as: name))
    }

    /// Fetches the files of the messages that a link means, an album or a range as well.
    private func fetch(
        _ link: MessageLink, _ account: any Account, _ work: String, _ folder: String
    ) async throws {
        let bar = ProgressBar()
        defer { bar.clear() }
        let files = MessageFiles(account: account)
        try await files.fetch(link, folder: work) { name, size in
            guard options.skipSame, let size, LinkFetch.size(of: "\(folder)/\(name)") == size else { return false }
            bar.clear()
            runtime.log.notice("\(name) is there already")
            try LinkFetch.print(LinkFetch.shown(name, in: folder))
            return true
        } onProgress: { name, done, size in
            let fraction = size.flatMap { $0 > 0 ? min(1, Double(done) / Double($0)) : nil }
            bar.show(
                ProgressBar.Figures(
                    title: name, state: "downloading", fraction: fraction, doneBytes: done, totalBytes: size))
        } take: { path, name in
            bar.clear()
            try LinkFetch.print(LinkFetch.move(path, into: folder, as: name))
        }
    }

    /// Writes the path of a finished file to standard output.
    private static func print(_ path: String) throws(ToolError) {
        let failure = Array("\(path)\n".utf8).withUnsafeBytes { writeAll(STDOUT_FILENO, $0) }
        guard failure == 0 else { throw ToolError.localIO("unable to write to standard output", errno: failure) }
    }

    /// Returns a link without the name and the password of a user.
    static func shown(_ link: String) -> String {
        guard let scheme = link.firstRange(of: "://") else { return link }
        let rest = link[scheme.upperBound...]
        let authority = rest.prefix { !"/?#".contains($0) }
        guard let sign = authority.lastIndex(of: "@") else { return link }
        return "\(link[..<scheme.upperBound])\(rest[rest.index(after: sign)...])"
    }

    /// Returns the path of a file as the user would write it. A name that begins like an option stays a path for the program that reads
    /// it.
    private static func shown(_ name: String, in folder: String) -> String {
        folder == "." && !name.hasPrefix("-") ? name : "\(folder)/\(name)"
    }

    /// Returns the size of a regular file; nil if there is none of that name.
    private static func size(of path: String) -> Int64? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int64(status.st_size)
    }

    /// Returns whether two files have the same content. A file that cannot be read is like no other.
    fileprivate static func isSameContent(_ one: String, _ other: String) -> Bool {
        guard let size = size(of: one), size == LinkFetch.size(of: other) else { return false }
        let paths: [String] = [one, other]
        let files = paths.map { open($0, O_RDONLY | O_CLOEXEC) }
        defer { for file in files where file >= 0 { close(file) } }
        guard files.allSatisfy({ $0 >= 0 }) else { return false }
        var (left, right) = ([UInt8](repeating: 0, count: 1 << 18), [UInt8](repeating: 0, count: 1 << 18))
        var offset: Int64 = 0
        while offset < size {
            let count = pread(files[0], &left, left.count, off_t(offset))
            guard count > 0, pread(files[1], &right, count, off_t(offset)) == count, left[..<count] == right[..<count]
            else { return false }
            offset += Int64(count)
        }
        return true
    }

    /// Moves a file, under another name if there is one already: `name.mp4`, `name (2).mp4`.
    ///
    /// - Throws: `ToolError` (74), with the system's reason.
    static func move(_ path: String, into folder: String, as name: String) throws(ToolError) -> String {
        let stem = FileName.stem(name)
        let ending = name.dropFirst(stem.count)
        for number in 1...9999 {
            let target = "\(folder)/\(number == 1 ? name : "\(stem) (\(number))\(ending)")"
            // The empty file keeps the name until the finished one replaces it.
            let descriptor = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            guard descriptor >= 0 else {
                if errno == EEXIST { continue }
                throw ToolError.localIO("unable to write \(target)")
            }
            // A new file has the permissions that the user wants.
            var status = stat()
            fstat(descriptor, &status)
            close(descriptor)
            guard chmod(path, status.st_mode & 0o777) == 0, rename(path, target) == 0 else {
                let failure = errno
                unlink(target)
                throw ToolError.localIO("unable to write \(target)", errno: failure)
            }
            return shown(lastPathComponent(target), in: folder)
        }
        throw ToolError(.localIO, "unable to write \(folder)/\(name): there are too many files of that name")
    }
}

extension LinkOptions {
    /// Returns whether a fetched file is not wanted, because the folder has one of the same name and content.
    fileprivate func skipsSame(_ path: String, in folder: String, as name: String) -> Bool {
        skipSame && LinkFetch.isSameContent(path, "\(folder)/\(name)")
    }
}

extension ProgressBar.Figures {
    fileprivate init(_ progress: MediaProgress, _ link: String) {
        self.init(
            title: progress.title ?? link, state: progress.state?.rawValue ?? "", fraction: progress.fraction,
            doneBytes: progress.doneBytes, totalBytes: progress.totalBytes,
            bytesPerSecond: progress.bytesPerSecond?.double)
    }
}

extension FetchStage {
    /// Puts the media of a link into the store, unless they are there.
    ///
    /// - Throws: `MediaError` and `BlobError`.
    fileprivate func put(
        _ link: String, _ kind: MediaKind, onProgress: @escaping ProgressHandler
    ) async throws -> DownloadReady {
        let request = try MediaRequest(
            Envelope(type: "commands.media.\(kind.rawValue)_download", payload: ["url": .string(link)]))
        var requested = try await identity(of: request)
        for _ in 0..<FetchStage.looks {
            let identity = await aliases.resolve(requested)
            let event: Envelope?
            if let info = try await stored(request.address(identity).key) {
                event = try ready(info, request)
            } else {
                let result = try await fetch(request, identity, fence: nil, onProgress)
                if case .stored(let url) = result { requested = SourceIdentity(url) ?? requested }
                // Nobody here takes a command for a large download.
                if case .large(let size) = result {
                    throw MediaError.tooLarge(bytes: size, maxBytes: limits.directBytes)
                }
                event = try await events(result, request, identity)?.last
            }
            if let event, DownloadReady.types.contains(event.type) {
                return try DownloadReady(event.payload, type: event.type)
            }
        }
        throw MediaError(.serverError, "Storage gave inconsistent answers. Please try again.", isTransient: true)
    }
}
