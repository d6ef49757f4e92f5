import Glibc
import Synchronization
import System

/// Is a control group (version 2) for one jail, which limits the memory and the number of all its processes together.
///
/// It is made below a folder that was delegated to this process, for example by systemd's `Delegate=memory pids`
/// with `DelegateSubgroup=`. It is removed with this object, when its processes have ended.
package final class JailGroup: Sendable {
    private let path: String
    private static let count = Atomic<Int>(0)

    /// The delegated folder, in which groups with limits can be made; nil if there is none.
    static let folder = findFolder(mount: "/sys/fs/cgroup", own: text(of: "/proc/self/cgroup"))

    /// Makes a group; returns nil if no folder was delegated, or it refuses.
    convenience init?(_ limits: JailLimits) {
        guard let folder = JailGroup.folder else { return nil }
        self.init(limits, in: folder)
    }

    init?(_ limits: JailLimits, in folder: String) {
        path = "\(folder)/tgpipe-\(getpid())-\(JailGroup.count.add(1, ordering: .relaxed).newValue)"
        guard mkdir(path, 0o755) == 0 else { return nil }
        _ = JailGroup.write(limits.memoryBytes > 0 ? "\(limits.memoryBytes)" : "max", to: "\(path)/memory.max")
        _ = JailGroup.write("0", to: "\(path)/memory.swap.max")
        _ = JailGroup.write("1", to: "\(path)/memory.oom.group")
        _ = JailGroup.write(limits.processes > 0 ? "\(limits.processes)" : "max", to: "\(path)/pids.max")
    }

    deinit { rmdir(path) }

    /// Opens the file through which a process joins the group; returns its descriptor, or -1. The caller closes it.
    func openMembers() -> Int32 { open("\(path)/cgroup.procs", O_WRONLY | O_CLOEXEC) }

    /// Returns a folder that may hold groups with limits: the parent of this process's group if it was delegated as a
    /// whole, or else its own group if that holds no process.
    ///
    /// - Parameter own: the text of `/proc/self/cgroup`.
    static func findFolder(mount: String, own: String) -> String? {
        guard let line = own.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
        let group = mount + line.dropFirst("0::".count)
        let parent = group.lastIndex(of: "/").map { String(group[..<$0]) } ?? mount
        return [parent, group].first { folder in
            folder.utf8.count > mount.utf8.count && access("\(folder)/cgroup.procs", W_OK) == 0 && enableLimits(folder)
        }
    }

    private static func enableLimits(_ folder: String) -> Bool {
        let (file, wanted) = ("\(folder)/cgroup.subtree_control", ["memory", "pids"])
        func isEnabled() -> Bool {
            let enabled = text(of: file).split { " \n".contains($0) }
            return wanted.allSatisfy { enabled.contains(Substring($0)) }
        }
        return isEnabled() || (write("+memory +pids", to: file) && isEnabled())
    }

    private static func write(_ text: String, to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count
    }

    private static func text(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
