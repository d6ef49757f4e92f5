import Glibc
package import System

/// Describes why the log store cannot be used.
package struct LogStoreError: ReportableError, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Another process writes to the store.
        case inUse = "in_use"
        /// A file or folder cannot be read or written.
        case inputOutput = "input_output"
        /// A segment was written by a newer version.
        case newerVersion = "newer_version"
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

    package var exitStatus: ExitStatus {
        switch code {
        case .inUse: .tryAgain
        case .inputOutput: .localIO
        case .newerVersion: .configuration
        }
    }

    package var description: String { message }
}

/// The folder of a log store: files of SQLite, each of which holds the lines of some time (*segments*).
package struct StoreFolder: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    /// The file of one segment.
    package struct File: Sendable, Hashable {
        package let path: String
        /// The name without its ending, which begins with the time when the segment was made: names sort by time.
        package let name: String

        /// The bytes of the segment's file and of the files beside it.
        package var sizeBytes: Int64 {
            ["", "-wal", "-shm"].reduce(0) { sum, ending in
                var info = stat()
                return stat(path + ending, &info) == 0 ? sum + Int64(info.st_size) : sum
            }
        }

        /// The time when the segment was made, in microseconds since 1970; nil if the name does not tell it.
        var madeMicroseconds: Int64? { Int64(name.prefix { $0 != "-" }, radix: 16) }

        /// Removes the segment. A process that reads it keeps what it has open.
        package func remove() { for ending in ["", "-wal", "-shm"] { unlink(path + ending) } }
    }

    private static let ending = ".sqlite"

    /// Returns the segments, the oldest first.
    package func files() -> [File] {
        (folderEntries(path) ?? []).filter { $0.hasSuffix(StoreFolder.ending) && !$0.hasPrefix(".") }.sorted().map {
            File(path: "\(path)/\($0)", name: String($0.dropLast(StoreFolder.ending.utf8.count)))
        }
    }

    /// Returns the file of a new segment, whose name no other has.
    ///
    /// - Parameter kind: `run` or `import`, which tells who writes to it.
    func newFile(_ kind: String) -> File {
        let digits = String(max(0, SystemClocks.realtimeNanoseconds / 1000), radix: 16)
        let time = String(repeating: "0", count: max(0, 14 - digits.count)) + digits
        let name = "\(time)-\(String(UInt32.random(in: 0...(.max)), radix: 16))-\(kind)"
        return File(path: "\(path)/\(name)\(StoreFolder.ending)", name: name)
    }

    /// Makes the folder, readable by its owner only, and takes the lock of a writer that must be the only one.
    ///
    /// - Returns: the descriptor of the lock, which holds it until it is closed.
    package func lock(_ name: String) throws -> Int32 {
        let made = makeFolders(path, mode: 0o700)
        guard made.error == 0 else {
            throw LogStoreError(
                .inputOutput, "unable to make the folder \(made.path): \(String(cString: strerror(made.error)))")
        }
        let file = "\(path)/\(name).lock"
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw LogStoreError(.inputOutput, "unable to open \(file): \(String(cString: strerror(errno)))")
        }
        guard lockFile(descriptor, LOCK_EX, within: .zero) == 0 else {
            close(descriptor)
            throw LogStoreError(.inUse, "another 'ev-log \(name)' writes to \(path)")
        }
        return descriptor
    }
}
