import Glibc
import Synchronization

/// Reports the state of this process to the service manager that started it, in the protocol of systemd's `sd_notify`.
///
/// Without a service manager that wants to know (`NOTIFY_SOCKET`), nothing happens.
///
/// Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
package enum ServiceManager {
    private static let hasReported = Atomic(false)

    /// Reports that the process has started: it takes input, updates or connections from now on. Only the first call does.
    ///
    /// If the manager supervises the process (`WATCHDOG_USEC`), a timer also reports from now on, at half of that interval,
    /// that the process is alive. An idle process reports as well, because the timer does not depend on events; a process
    /// whose tasks cannot run any more does not.
    package static func reportReady() {
        guard !hasReported.exchange(true, ordering: .relaxed) else { return }
        send("READY=1")
        guard let interval = watchdogInterval() else { return }
        Task {
            while true {
                send("WATCHDOG=1")
                try? await Task.sleep(for: interval / 2)
            }
        }
    }

    /// Reports that the process is ending.
    package static func reportStopping() { send("STOPPING=1") }

    /// Returns the time after which a silent process counts as dead; nil if nobody supervises this one.
    private static func watchdogInterval() -> Duration? {
        guard let microseconds = Settings.environment("WATCHDOG_USEC").flatMap({ Int64($0) }), microseconds > 0 else {
            return nil
        }
        // The variables may have been inherited from a process that they were meant for.
        let process = Settings.environment("WATCHDOG_PID").flatMap { Int32($0) }
        return process.map { $0 == getpid() } ?? true ? .microseconds(microseconds) : nil
    }

    private static func send(_ state: String) {
        guard let path = Settings.environment("NOTIFY_SOCKET") else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard name.count < room, name.first == UInt8(ascii: "/") || name.first == UInt8(ascii: "@") else { return }
        // An address in the abstract namespace begins with a zero byte, and ends with its last character.
        let isAbstract = name[0] == UInt8(ascii: "@")
        if isAbstract { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = MemoryLayout<sockaddr_un>.size - room + name.count + (isAbstract ? 0 : 1)
        let descriptor = Linux.datagramSocket()
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                sendto(descriptor, state, state.utf8.count, Int32(MSG_NOSIGNAL), address, socklen_t(length))
            }
        }
    }
}
