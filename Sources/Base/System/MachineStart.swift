import Glibc

/// This start of the machine: what was written during it is there for every process, whether or not it is on the disk yet.
package enum MachineStart {
    /// The kernel's identifier of it; nil when there is none to read.
    package static let current: String? = {
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 36)
        guard read(descriptor, &bytes, bytes.count) == bytes.count else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }()
}
