import Glibc
@testable import Process
import Synchronization
import System
import TestSupport
import Testing

/// Tries what an attacker would try who controls a program in a jail. Each test says what the program printed or how it ended.
@Suite("A program in a jail", .serialized)
struct JailTests {
    private let folder: TemporaryFolder
    private let network: JailNetwork

    init() throws {
        folder = try TemporaryFolder()
        network = try JailNetwork(listens: true)
        try makeDirectory(folder("job"))
    }

    private func put(_ text: String, _ name: String) throws {
        let file = try #require(fopen(folder(name), "w"))
        fputs(text, file)
        fclose(file)
    }

    private func read(_ name: String) throws -> String { try #require(Processes.text(folder(name))) }

    /// Runs a Python script in a jail whose one writable folder is `job`.
    private func python(
        _ script: String, limits: JailLimits = JailLimits(), timeout: Duration = .seconds(60)
    ) async throws -> (exit: ChildRun.Exit, output: String) {
        let program = "/usr/bin/python3"
        var command = Command(
            program, ["-c", script], environment: ["PATH": "/usr/bin:/bin"], directory: folder("job"))
        command.jail = Jail(
            network: .only(network), readable: ProgramFiles([program]).paths, writable: [folder("job")], limits: limits)
        let text = Mutex("")
        let exit = try await ChildRun(command, timeout: timeout).run(onLine: { line in
            text.withLock { $0 += line + "\n" }
        })
        return (exit, text.withLock { $0 })
    }

    /// Runs statements, each on its own, and returns the name of the error that each ends with, or what it returns.
    private func attempts(_ expressions: [String]) async throws -> [String] {
        let script = """
            import os, socket, subprocess, ctypes, time, sys
            def attempt(text):
                try:
                    return str(eval(text))
                except OSError as error:
                    return errno.errorcode.get(error.errno, str(error))
                except BaseException as error:
                    return type(error).__name__
            import errno
            for line in \(expressions):
                print(attempt(line), flush=True)
            """
        let (exit, output) = try await python(script)
        #expect(exit.isSuccess, "\(exit.errorLines)")
        return output.split(separator: "\n").map(String.init)
    }

    @Test func `It has every layer that this kernel has`() {
        // A kernel with user namespaces, Landlock 4 and seccomp is what continuous integration runs on.
        #expect(JailLayers.available.isSuperset(of: [.network, .processes, .files, .ports, .systemCalls, .limits]))
    }

    @Test func `It reaches the one socket that listens in its network, and no other`() async throws {
        let server = try LoopbackServer { $1.respond(text: "secret") }
        defer { server.stop() }
        let own = network.listener
        let accepted = Mutex(0)
        BlockingThread.start {
            let connection = accept(own, nil, nil)
            accepted.withLock { $0 = Int(write(connection, "hello", 5)) }
            close(connection)
        }
        let port = try #require(network.port)
        let results = try await attempts([
            "socket.create_connection(('127.0.0.1', \(port)), 5).recv(9)",
            "socket.create_connection(('127.0.0.1', \(server.port)), 5).recv(9)",
            "socket.create_connection(('::1', \(server.port)), 5).recv(9)",
            "socket.create_connection(('192.0.2.1', \(port)), 5).recv(9)",
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
            "socket.create_server(('127.0.0.1', 0))",
        ])
        #expect(results.first == "b'hello'")
        #expect(results.dropFirst().allSatisfy { ["EACCES", "ENETUNREACH", "EADDRNOTAVAIL", "EPERM"].contains($0) })
        #expect(accepted.withLock { $0 } == 5)
        #expect(server.requests.isEmpty)
    }

    @Test func `It cannot open sockets of other kinds`() async throws {
        let results = try await attempts([
            "socket.socket(socket.AF_UNIX)", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
            "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)",
            "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)", "socket.socket(socket.AF_PACKET)",
            "len(socket.socketpair())",
        ])
        #expect(
            results == ["EAFNOSUPPORT", "EAFNOSUPPORT", "EPERM", "EPERM", "EPERM", "EAFNOSUPPORT", "2"], "\(results)")
    }

    @Test func `It changes no file's mode, owner, times or attributes`() async throws {
        try put("secret", "outside")
        chmod(folder("outside"), 0o600)
        var before = stat()
        #expect(stat(folder("outside"), &before) == 0)
        let path = "'\(folder("outside"))'"
        let results = try await attempts([
            "os.chmod(\(path), 0o4777)", "os.chmod(\(path), 0o777, follow_symlinks=True)",
            "os.chown(\(path), -1, os.getgid())",
            "os.utime(\(path), (1, 1))", "os.setxattr(\(path), 'user.x', b'y')",
            "ctypes.CDLL(None).syscall(452, -100, \(path).encode(), 0o777, 0)",
            "ctypes.CDLL(None).inotify_add_watch(ctypes.CDLL(None).inotify_init(), '\(folder.path)'.encode(), 0xfff)",
        ])
        #expect(results == ["None", "None", "None", "None", "None", "0", "-1"], "\(results)")
        var after = stat()
        #expect(stat(folder("outside"), &after) == 0)
        #expect(after.st_mode == before.st_mode && after.st_uid == before.st_uid && after.st_gid == before.st_gid)
        #expect(after.changedNanoseconds == before.changedNanoseconds)
    }

    @Test func `It reaches no Unix socket through a pair of sockets, and no port by a call that sends`() async throws {
        let log = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(log) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = folder("log").utf8CString
        try #require(path.count <= MemoryLayout.size(ofValue: address.sun_path))
        withUnsafeMutableBytes(of: &address.sun_path) { place in path.withUnsafeBytes { place.copyMemory(from: $0) } }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(log, $0, size) }
        }
        try #require(bound == 0)
        let port = try #require(network.port)
        let (to, fastOpen) = ("'\(folder("log"))'", "0x20000000")
        let results = try await attempts([
            "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', \(to))",
            "socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)[0].sendto(b'x', \(to))",
            "len(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))",
            "socket.socket().sendto(b'x', \(fastOpen), ('127.0.0.1', \(port)))",
            "socket.socket().sendmsg([b'x'], [], \(fastOpen), ('127.0.0.1', \(port)))",
        ])
        #expect(results == ["EPERM", "EPERM", "2", "ENOTSUP", "ENOTSUP"], "\(results)")
        #expect(recv(log, nil, 0, Int32(MSG_DONTWAIT)) == -1 && errno == EAGAIN)
    }

    @Test func `No folder of private keys is among the system's files`() {
        for secret in [
            "/etc/ssl/private", "/etc/pki/tls/private", "/etc/pki/entitlement", "/etc/pki/nssdb", "/etc/shadow",
        ] {
            #expect(!SystemFiles.readable.contains { secret == $0 || secret.hasPrefix($0 + "/") }, "\(secret)")
        }
    }

    @Test func `It reads and changes only its own folder and what programs need`() async throws {
        try put("secret", "outside")
        try put("mine", "job/inside")
        let results = try await attempts([
            "open('inside').read()", "open('new', 'w').write('x')", "os.rename('new', 'newer')",
            "open('/dev/null', 'w').write('x')", "open('\(folder("outside"))').read()",
            "open('\(folder("outside"))', 'a')", "os.truncate('\(folder("outside"))', 0)",
            "open('\(folder("made"))', 'w')", "os.listdir('\(folder.path)')", "os.link('\(folder("outside"))', 'link')",
            "os.symlink('\(folder("outside"))', 'symbolic') or open('symbolic').read()",
            "open('/etc/passwd').read()", "open('/etc/shadow').read()", "os.listdir('/root')", "os.listdir('/home')",
            "open('/proc/\(getpid())/environ').read()", "open('/proc/\(getpid())/mem').read(1)",
            "open('/proc/self/environ').read()", "os.unlink('\(folder("outside"))')", "os.mknod('device', 0o20600, 0)",
        ])
        #expect(Array(results.prefix(4)) == ["mine", "1", "None", "1"])
        #expect(results.dropFirst(4).allSatisfy { ["EACCES", "EXDEV", "EPERM"].contains($0) }, "\(results)")
        #expect(results.count == 20)
        #expect(try read("outside") == "secret")
    }

    @Test func `It sees no other process, and can neither signal nor inspect one`() async throws {
        let results = try await attempts([
            "os.getppid()", "os.kill(\(getpid()), 0)", "os.kill(-1, 9)",
            "ctypes.CDLL(None, use_errno=True).ptrace(16, \(getpid()), 0, 0) or ctypes.get_errno()",
            "ctypes.CDLL(None).unshare(0x10000000)", "ctypes.CDLL(None).mount(b'/', b'/', b'', 4096, 0)",
            "ctypes.CDLL(None).syscall(425, 8, 0)", "ctypes.CDLL(None).syscall(321, 0, 0, 0)",
        ])
        #expect(results == ["1", "ESRCH", "ESRCH", "-1", "-1", "-1", "-1", "-1"], "\(results)")
    }

    @Test func `It has no privileges and gets none`() async throws {
        var command = Command("/bin/sh", ["-c", "id -u; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status"])
        command.jail = Jail(
            network: .only(network), readable: ["/proc"], writable: [], limits: JailLimits(memoryBytes: 1 << 30))
        let text = Mutex("")
        let exit = try await ChildRun(command, timeout: .seconds(60)).run(onLine: { line in
            text.withLock { $0 += line.filter { $0 != "\t" } + "\n" }
        })
        #expect(exit.isSuccess)
        let lines = text.withLock { $0 }
        for wanted in ["CapPrm:0000000000000000", "CapEff:0000000000000000", "NoNewPrivs:1", "Seccomp:2"] {
            #expect(lines.contains(wanted), "\(lines)")
        }
    }

    @Test func `It cannot use more memory than its limit`() async throws {
        let (exit, output) = try await python(
            """
            try:
                bytearray(8 << 30)
            except MemoryError:
                print("no memory")
            """, limits: JailLimits(memoryBytes: 1 << 30))
        #expect(exit.isSuccess)
        #expect(output == "no memory\n")
    }

    @Test func `It cannot use more processor time than its limit`() async throws {
        let (exit, _) = try await python("while True: pass", limits: JailLimits(cpuSeconds: 1))
        #expect(exit.cause == .ended(.signalled(SIGXCPU)))
    }

    @Test func `Its processes end with it, wherever they hide`() async throws {
        try put("", "job/beats")
        let (exit, _) = try await python(
            """
            import os, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    while True:
                        open("beats", "a").write("x")
                        time.sleep(0.01)
                os._exit(0)
            while not os.path.getsize("beats"):
                time.sleep(0.01)
            """)
        #expect(exit.isSuccess)
        let count = try read("job/beats").utf8.count
        #expect(count > 0)
        try await Task.sleep(for: .milliseconds(100))
        #expect(try read("job/beats").utf8.count == count)
    }

    @Test func `It ends at its deadline, even if it ignores requests to end`() async throws {
        let (exit, _) = try await python(
            "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()",
            timeout: .milliseconds(500))
        #expect(exit.cause == .overdue)
    }

    /// Starts up to 300 processes, and prints how many it could.
    private static let forks = """
        import os, time
        count = 0
        try:
            while count < 300:
                if os.fork() == 0:
                    time.sleep(600)
                count += 1
        except OSError:
            pass
        print(count)
        """

    /// The kernel sets the user root no limit for processes, so there the layer is missing, and reported as such.
    @Test func `It starts no more processes than its limit, unless the user is root`() async throws {
        let (exit, output) = try await python(JailTests.forks, limits: JailLimits(processes: 50))
        #expect(exit.isSuccess)
        let count = try #require(Int(output.dropLast()))
        #expect(JailLayers.available.contains(.processCount) ? count < 50 : count == 300)
        #expect(JailLayers.available.contains(.processCount) == (geteuid() != 0))
    }

    /// Where root runs the tests, the jail is made by a program of another user.
    @Test(arguments: [20, 50, 200]) func `It starts as many processes as its limit permits if the user is not root`(
        _ limit: Int
    ) throws {
        let user = geteuid() == 0 ? ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] : []
        // The other user may not reach the folder of the tests' programs.
        try #require(try SpawnedProgram(["cp", ToolRun.path(of: "jail-check"), folder("jail-check")]).wait() == 0)
        try #require(chmod(folder.path, 0o755) == 0)
        let output = try SpawnedProgram.output(
            of: user + [folder("jail-check"), "processes", "\(limit)", "/usr/bin/python3", "-c", JailTests.forks])
        let lines = output.split(separator: "\n")
        try #require(lines.count == 2, "\(output)")
        #expect(lines[0] == "process count")
        let count = try #require(Int(lines[1]))
        // The program itself counts, and what makes the jail.
        #expect((limit - 5..<limit).contains(count), "\(count)")
    }

    @Test func `Its end is reported as the program's own`() async throws {
        #expect(try await python("import sys; sys.exit(7)").exit.cause == .ended(.exited(7)))
        let killed = try await python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)").exit
        #expect(killed.cause == .ended(.signalled(SIGTERM)))
    }

    @Test func `The missing layers that matter are named with what to do`() {
        #expect(JailLayers([.network, .processes, .files, .systemCalls, .limits, .processCount]).gaps.isEmpty)
        #expect(JailLayers([.network, .processes, .files, .systemCalls, .limits, .controlGroup]).gaps.isEmpty)
        let gaps = JailLayers([.processes, .files, .systemCalls, .limits]).gaps
        #expect(gaps.map { String($0.prefix { $0 != "(" }) } == ["network ", "ports ", "process count "])
    }

    @Test func `Groups are made in the delegated folder, with limits, and removed again`() throws {
        // Stands for a mount of control groups: a service delegated to this process, which is in the group `main` of it.
        let mount = folder("cgroup")
        try makeDirectory("\(mount)/service/main")
        for name in ["service", "service/main"] {
            try put("", "cgroup/\(name)/cgroup.procs")
            try put("memory pids\n", "cgroup/\(name)/cgroup.subtree_control")
        }
        let own = "4:memory:/elsewhere\n0::/service/main\n"
        #expect(JailGroup.findFolder(mount: mount, own: own) == "\(mount)/service")
        // The root of all groups is no delegated folder, and a kernel with version 1 only has none.
        #expect(JailGroup.findFolder(mount: mount, own: "0::/\n") == nil)
        #expect(JailGroup.findFolder(mount: mount, own: "4:memory:/service/main\n") == nil)
        try put("cpu\n", "cgroup/service/cgroup.subtree_control")
        unlink("\(mount)/service/main/cgroup.procs")
        #expect(JailGroup.findFolder(mount: mount, own: own) == nil)

        var group = JailGroup(JailLimits(memoryBytes: 1 << 20), in: "\(mount)/service")
        let made = try #require(folderEntries("\(mount)/service")?.first { $0.hasPrefix("tgpipe-") })
        #expect(group != nil)
        group = nil
        #expect(access("\(mount)/service/\(made)", F_OK) != 0)
    }
}
