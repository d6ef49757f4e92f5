import Glibc

/// Identifies the current start of the machine: files written since then are visible to every process, whether or not they are on the
/// disk yet.
package enum MachineStart {
    /// The kernel's identifier of this start; nil if it cannot be read.
    package static let current: String? = {
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 36)
        guard read(descriptor, &bytes, bytes.count) == bytes.count else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }()
}
