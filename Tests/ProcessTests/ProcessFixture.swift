import Glibc
import Process
import System
import TestSupport

/// Inspects processes and open descriptors.
enum Processes {
    /// Returns whether a process runs: a zombie does not.
    static func isAlive(_ pid: some StringProtocol) -> Bool {
        guard let number = Int32(pid), kill(number, 0) == 0 else { return false }
        return !(text("/proc/\(pid)/status") ?? "").contains("State:\tZ")
    }

    /// The open descriptors of this process, without the one that lists them.
    static var openDescriptors: Int { max(0, (folderEntries("/proc/self/fd") ?? []).count - 1) }

    /// The number of open descriptors once it stays the same: servers of earlier tests may still be closing theirs.
    static var settledDescriptors: Int {
        var (count, calm) = (openDescriptors, 0)
        for _ in 0..<200 where calm < 8 {
            usleep(25_000)
            let now = openDescriptors
            (count, calm) = (now, now == count ? calm + 1 : 0)
        }
        return count
    }

    /// Returns whether the number of open descriptors becomes the given one within some seconds: other tests' servers may open and close
    /// some meanwhile, and what leaks stays open.
    static func settles(atDescriptors count: Int) -> Bool {
        for _ in 0..<200 where openDescriptors != count { usleep(25_000) }
        return openDescriptors == count
    }

    /// The children of this process that have ended and were not reaped.
    static var zombies: Int {
        let children = (folderEntries("/proc/self/task") ?? []).compactMap { text("/proc/self/task/\($0)/children") }
        return children.joined(separator: " ").split(separator: " ")
            .count { text("/proc/\($0)/status")?.contains("State:\tZ") == true }
    }

    /// The text of a file, also of one in /proc, whose size reads as zero; at most 64 KiB.
    static func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// Reads a descriptor to its end and closes it.
    static func readAll(_ descriptor: Int32) -> String {
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EAGAIN || errno == EINTR {
                usleep(1000)
                continue
            }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer.prefix(count)
        }
    }
}
