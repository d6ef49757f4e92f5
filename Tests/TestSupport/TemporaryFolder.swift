import Foundation
import Synchronization

/// A folder of its own with a short path (Unix sockets need one), removed with what is in it when it goes out of use, or at
/// the end of the process: what tests share stays in use until then.
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

    /// With the private servers that tools have started in it, which outlive the tools on purpose.
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

    /// The path of something in the folder.
    package func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
}
