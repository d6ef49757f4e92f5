import Crypto
import Glibc
import JSON
import Payloads
import System

/// Removes what earlier fetches left behind.
extension MediaFetcher {
    /// Removes the progress of a fetch of this address that failed or was cancelled, unless another request is going on with
    /// it, or has finished it.
    package func discardPartial(_ address: ContentAddress) { remove(address, evenIfFinished: false) }

    /// Removes all files of this address that the store has, unless a request is fetching it.
    package func discard(_ address: ContentAddress) { remove(address, evenIfFinished: true) }

    private func remove(_ address: ContentAddress, evenIfFinished: Bool) {
        guard let folder = try? JobFolder.tryToOpen(root: settings.directory, hash: address.hash) else { return }
        if evenIfFinished || !ResultFile(folder.path).isWaiting { folder.remove() }
        folder.unlock()
    }

    /// Removes the folders of jobs whose result was moved away, and of jobs that have not changed for `age`.
    ///
    /// - Returns: the number of folders removed.
    @discardableResult
    package func sweep(olderThan age: Duration) -> Int {
        var removed = 0
        for name in folderEntries(settings.directory) ?? [] where name.utf8.count == 64 {
            let path = "\(settings.directory)/\(name)"
            guard ResultFile(path).isTaken || isOlder(path, than: age),
                let folder = try? JobFolder.tryToOpen(root: settings.directory, hash: name)
            else { continue }
            // Another process may have begun the job again in between.
            if ResultFile(path).isTaken || isOlder(path, than: age) {
                folder.remove()
                removed += 1
            }
            folder.unlock()
        }
        return removed
    }

    /// Returns the addresses of jobs whose folder has not changed for `age`. Their process may have died, and another
    /// machine may have fetched the media since.
    package func untouched(for age: Duration) -> [ContentAddress] {
        (folderEntries(settings.directory) ?? []).filter {
            SHA256.isHexDigest($0) && isOlder("\(settings.directory)/\($0)", than: age)
        }
        .flatMap { ContentAddress.all(hash: $0) }
    }

    private func isOlder(_ path: String, than age: Duration) -> Bool {
        let limit = Double(Timestamp.now.microseconds) / 1e6 - age / .seconds(1)
        return ([""] + (folderEntries(path) ?? []).map { "/\($0)" }).allSatisfy { name in
            var info = stat()
            return lstat(path + name, &info) != 0 || Double(info.modifiedNanoseconds) / 1e9 < limit
        }
    }
}
