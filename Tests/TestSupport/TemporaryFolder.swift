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

    /// Removes the folder and ends the private Redis servers in it, which outlive the tools by design.
    private static func remove(_ path: String) {
        for case let name as String in FileManager.default.enumerator(atPath: path) ?? .init()
        where name.hasSuffix("redis.pid") {
            guard let text = try? String(contentsOfFile: "\(path)/\(name)", encoding: .utf8),
                let pid = Int32(text.prefix { $0.isNumber }),
                let folder = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd"),
                folder.hasPrefix(path + "/")
            else { continue }
            kill(pid, SIGKILL)
        }
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Returns the path of a file in the folder.
    package func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
}
