import Glibc
import System
import TestSupport
import Testing

/// Stands for systemd: a datagram socket that receives what services report.
private final class Manager {
    let folder: TemporaryFolder
    private let descriptor: Int32

    /// - Parameter isAbstract: whether the socket has no file.
    init(isAbstract: Bool) throws {
        folder = try TemporaryFolder()
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        try #require(descriptor >= 0)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(folder("notify").utf8)
        if isAbstract { name.insert(0, at: 0) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = MemoryLayout<sa_family_t>.size + name.count + (isAbstract ? 0 : 1)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(length)) }
        }
        try #require(bound == 0)
    }

    deinit { close(descriptor) }

    /// Takes the reports that have arrived.
    func waitingReports() -> [String] {
        var reports: [String] = []
        while let report = receive(Int32(MSG_DONTWAIT)) { reports.append(report) }
        return reports
    }

    /// Waits for the next report.
    func next() throws -> String {
        try #require(receive(0), "no report within 20 seconds")
    }

    private func receive(_ flags: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &bytes, bytes.count, flags)
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}

@Suite(.timeLimit(.minutes(2))) struct ServiceManagerTests {
    @Test(arguments: [false, true])
    func `A stage reports when it is ready, that it is alive though nothing happens, and when it ends`(
        _ isAbstract: Bool
    ) async throws {
        let manager = try Manager(isAbstract: isAbstract)
        let variables = [
            "NOTIFY_SOCKET": (isAbstract ? "@" : "") + manager.folder("notify"), "WATCHDOG_USEC": "100000",
            "TGPIPE_STORE": "file:" + manager.folder("store"),
        ]
        let stage = try ToolRun("blob-put", environment: variables)
        #expect(try manager.next() == "READY=1")
        for _ in 0..<3 { #expect(try manager.next() == "WATCHDOG=1") }
        stage.signal(SIGTERM)
        var report = try manager.next()
        while report == "WATCHDOG=1" { report = try manager.next() }
        #expect(report == "STOPPING=1")
        #expect(try await stage.result().status == 0)
    }

    @Test func `A stage whose arguments are wrong never reports that it is ready`() async throws {
        let manager = try Manager(isAbstract: false)
        let variables = ["NOTIFY_SOCKET": manager.folder("notify"), "TGPIPE_STORE": "ftp://nowhere"]
        let stage = try ToolRun("blob-put", environment: variables)
        #expect(try await stage.result().status == 78)
        #expect(manager.waitingReports().allSatisfy { $0 == "STOPPING=1" })
    }

    @Test func `A watchdog that was meant for another process is left alone`() async throws {
        let manager = try Manager(isAbstract: false)
        let stage = try ToolRun(
            "blob-put",
            environment: [
                "NOTIFY_SOCKET": manager.folder("notify"), "TGPIPE_STORE": "file:" + manager.folder("store"),
                "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1",
            ])
        #expect(try manager.next() == "READY=1")
        stage.closeInput()
        #expect(try await stage.result().status == 0)
        #expect(!manager.waitingReports().contains("WATCHDOG=1"))
    }
}
