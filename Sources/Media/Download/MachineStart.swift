/// This start of the machine: what was written during it is there for every process, whether or not it is on the disk yet.
enum MachineStart {
    /// The kernel's identifier of it; nil when there is none to read.
    static let current: String? = SmallFile.readBeginning("/proc/sys/kernel/random/boot_id", count: 36)
        .map { String(decoding: $0, as: UTF8.self) }
}
