import JSON
import System
import Crypto
import Glibc

/// Fetches media: from a link to a file on the local disk, ready to be stored.
///
/// One fetch of an address runs at a time, across processes; who comes while one is under way waits, and gets its file. A
/// fetch that was interrupted goes on where it stopped.
package final class MediaFetcher: Sendable {
    private let settings: MediaSettings
    private let shortLinks: ShortLinks

    package init(_ settings: MediaSettings) {
        var settings = settings
        settings.directory = settings.directory.absolutePath
        settings.ytDlp.cookiesFile = settings.ytDlp.cookiesFile?.absolutePath
        self.settings = settings
        shortLinks = ShortLinks(additionalHosts: settings.shortLinkHosts, addressPolicy: settings.addressPolicy)
    }

    /// What a link identifies; short links are followed to learn that.
    package func identify(_ link: String) async throws(MediaError) -> SourceIdentity {
        try await shortLinks.resolve(link)
    }

    /// Fetches what a job asks for.
    ///
    /// - Parameters:
    ///   - onProgress: see `ProgressHandler`.
    ///   - onCanonicalURL: see `CanonicalURLHandler`.
    /// - Returns: the finished file, in a folder of `MediaSettings.directory`; it is the caller's to move.
    package func fetch(
        _ job: MediaJob, onProgress: @escaping ProgressHandler = { _ in },
        onCanonicalURL: @escaping CanonicalURLHandler = { _ in }
    ) async throws(MediaError) -> FetchedMedia {
        let deadline = ContinuousClock.now + settings.deadline
        let folder = try await JobFolder.open(root: settings.directory, hash: job.address.hash, deadline: deadline) {
            onProgress(MediaProgress(.waiting))
        }
        defer { folder.unlock() }
        let result = ResultFile(folder.path, isDurable: settings.isDurable)
        if let finished = await result.read(for: job.address) { return finished }
        result.remove()
        let run = FetchRun(
            job: job, settings: settings, folder: folder, deadline: deadline, onCanonicalURL: onCanonicalURL,
            onProgress: onProgress)
        do throws(MediaError) {
            let media = try await run.run()
            folder.empty(except: media.path.lastComponent)
            try result.write(media)
            return media
        } catch {
            // There is nothing to go on from, or nobody will.
            if !error.isTemporary || folder.isEmpty { folder.remove() }
            throw error
        }
    }

    /// What a fetch of this address has brought, when nobody has moved it away yet.
    package func finished(_ address: ContentAddress) async -> FetchedMedia? {
        await ResultFile("\(settings.directory)/\(address.hash)", isDurable: settings.isDurable).read(for: address)
    }

    /// Forgets what a failed fetch of this address has so far.
    package func discard(_ address: ContentAddress) {
        guard let folder = try? JobFolder.tryToOpen(root: settings.directory, hash: address.hash) else { return }
        folder.remove()
        folder.unlock()
    }

    /// Removes what is left of jobs whose result was moved away, and of those that nobody has touched for a while.
    ///
    /// - Returns: how many folders were removed.
    @discardableResult
    package func sweep(olderThan age: Duration) -> Int {
        var removed = 0
        for name in folderEntries(settings.directory) ?? [] where name.utf8.count == 64 {
            let path = "\(settings.directory)/\(name)"
            guard ResultFile(path).isTaken || isOlder(path, than: age),
                let folder = try? JobFolder.tryToOpen(root: settings.directory, hash: name)
            else { continue }
            // Somebody may have begun anew in between.
            if ResultFile(path).isTaken || isOlder(path, than: age) {
                folder.remove()
                removed += 1
            }
            folder.unlock()
        }
        return removed
    }

    /// Addresses of which there is something here, untouched for so long; whoever began them may have died, and somebody else,
    /// elsewhere, have fetched them.
    package func untouched(for age: Duration) -> [ContentAddress] {
        (folderEntries(settings.directory) ?? []).filter {
            SHA256.isHexDigest($0) && isOlder("\(settings.directory)/\($0)", than: age)
        }
        .flatMap { hash in MediaKind.allCases.map { ContentAddress($0, hash: hash) } }
    }

    private func isOlder(_ path: String, than age: Duration) -> Bool {
        let limit = Double(Timestamp.now.microseconds) / 1e6 - age / .seconds(1)
        return ([""] + (folderEntries(path) ?? []).map { "/\($0)" }).allSatisfy { name in
            var info = stat()
            return lstat(path + name, &info) != 0 || Double(info.modifiedNanoseconds) / 1e9 < limit
        }
    }
}

/// `finished.json`: the result, for whoever asks for the same before it was moved away.
private struct ResultFile {
    private let path: String
    private let isDurable: Bool

    /// - Parameter folder: of the job.
    init(_ folder: String, isDurable: Bool = false) {
        path = "\(folder)/finished.json"
        self.isDurable = isDurable
    }

    /// nil when there is none, or its file is not there any more.
    func read(for address: ContentAddress) async -> FetchedMedia? {
        guard let payload, let media = FetchedMedia(payload: payload), media.key == address.key,
            await isIntact(media, madeIn: payload["boot"]?.string)
        else { return nil }
        return media
    }

    /// Whether there was a result, and somebody has moved it away.
    var isTaken: Bool { payload.flatMap { FetchedMedia(payload: $0) }.map { !isThere($0) } ?? false }

    func write(_ media: FetchedMedia) throws(MediaError) {
        var payload = media.payload
        // Without it, the file is durable.
        if !isDurable { payload["boot"] = MachineStart.current.map { .string($0) } ?? .string("") }
        try SmallFile.write(payload, to: path, isDurable: isDurable)
    }

    func remove() { unlink(path) }

    private var payload: JSONObject? { SmallFile.read(path) }

    private func isThere(_ media: FetchedMedia) -> Bool {
        var info = stat()
        return lstat(media.path, &info) == 0 && info.st_size == media.sizeBytes
    }

    /// What was not on the disk for good when the machine stopped is worth what its hash says.
    private func isIntact(_ media: FetchedMedia, madeIn boot: String?) async -> Bool {
        guard isThere(media) else { return false }
        guard let boot, boot != MachineStart.current else { return true }
        return (try? await HashingWriter.hash(media.path)) == media.sha256
    }
}
