import Crypto
import Glibc
import HTTP
import JSON
import Payloads
import System

/// Reads and writes `finished.json`: the result of a fetch, for requests that come before its file is moved away.
struct ResultFile {
    private let path: String
    private let isDurable: Bool

    /// - Parameter folder: the job's folder.
    init(_ folder: String, isDurable: Bool = false) {
        path = "\(folder)/finished.json"
        self.isDurable = isDurable
    }

    /// Returns the result; nil when there is none, or its file is gone or damaged.
    func read(for address: ContentAddress) async -> MediaFetched? {
        guard let (media, boot) = content, media.key == address.key, await isIntact(media, madeIn: boot) else {
            return nil
        }
        return media
    }

    /// Is true if there was a result whose file was moved away.
    var isTaken: Bool { content.map { !isThere($0.media) } ?? false }

    /// Is true if there is a result whose file was not moved away yet.
    var isWaiting: Bool { content.map { isThere($0.media) } ?? false }

    func write(_ media: MediaFetched) throws(MediaError) {
        var record = media.json
        if !isDurable { record[ResultFile.bootKey] = .string(MachineStart.current ?? "") }
        try SmallFile.write(record, to: path, isDurable: isDurable)
    }

    func remove() { unlink(path) }

    /// The key for the start of the machine on which the file was written. A result without it has a durable file.
    private static let bootKey = "boot"

    /// The file's content; nil when there is none, or it is incomplete.
    private var content: (media: MediaFetched, boot: String?)? {
        guard var record = SmallFile.read(path) else { return nil }
        let boot = record[ResultFile.bootKey]?.string
        record[ResultFile.bootKey] = nil
        guard let media = try? MediaFetched(record), media.metadata.isComplete else { return nil }
        return (media, boot)
    }

    private func isThere(_ media: MediaFetched) -> Bool {
        var info = stat()
        return lstat(media.path, &info) == 0 && Int64(info.st_size) == media.metadata.content.sizeBytes
    }

    /// Returns whether the file is complete. After a restart of the machine, a file that was not durable is checked
    /// by its hash.
    private func isIntact(_ media: MediaFetched, madeIn boot: String?) async -> Bool {
        guard isThere(media) else { return false }
        guard let boot, boot != MachineStart.current else { return true }
        return (try? await HashingWriter.hash(media.path)) == media.metadata.content.sha256
    }
}
