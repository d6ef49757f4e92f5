import Foundation
import Synchronization

/// Creates a folder with a short path, which Unix sockets need. The folder is removed when the object is released, or
/// at the end of the process for objects that tests share.
package final class TemporaryFolder: Sendable {
    package let path: String

    private static let inUse = Mutex<Set<String>>([])

    private static let removalAtExit: Void = {
        atexit {
            for path in TemporaryFolder.inUse.withLock({ $0 }) { TemporaryFolder.remove(path) }
        }
    }()

    package init() throws {
        _ = TemporaryFolder.removalAtExit
        var template = Array("/tmp/tgpipe-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        let path = template.withUnsafeBufferPointer {
            String(decoding: $0.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
        self.path = path
        _ = TemporaryFolder.inUse.withLock { $0.insert(path) }
    }

    deinit {
        TemporaryFolder.remove(path)
        _ = TemporaryFolder.inUse.withLock { $0.remove(path) }
    }

    /// Removes the folder and ends the servers that work in it: a tool's private Redis outlives the tool by design, and one that was
    /// only just started has not written the number of its process yet.
    private static func remove(_ path: String) {
        for number in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = pid_t(number),
                let folder = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd"),
                folder == path || folder.hasPrefix(path + "/"),
                (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)) == "redis-server\n"
            else { continue }
            kill(pid, SIGKILL)
        }
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Returns the path of a file in the folder.
    package func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
}
