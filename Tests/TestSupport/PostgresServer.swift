import Foundation
import Synchronization

/// Runs a real PostgreSQL server on a Unix socket in a temporary folder, and stops it when the object is released.
///
/// It keeps PostgreSQL's defaults for durability. The user of its databases is `postgres`, without a password.
package final class PostgresServer: Sendable {
    /// The server that tests share which only need a database of their own.
    package static let shared = Result { try PostgresServer() }

    package let folder: TemporaryFolder
    private let data: String
    private let disk: String
    private let prefix: [String]
    private let startPrefix: [String]
    private let process = ServerProcess("PostgreSQL")
    private let counter = Atomic<Int>(0)

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Makes the files of a server and starts it.
    ///
    /// - Parameter tablespaceBytes: the size of a small disk, for the tablespace `small`.
    package init(tablespaceBytes: Int? = nil) throws {
        folder = try TemporaryFolder()
        disk = folder("disk")
        data = folder("data")
        // The server refuses to run as root, so it then runs as the user that Debian's package makes.
        let user = getuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
        prefix = user
        // The disk is only visible to the server. Those who are not root may mount it in a namespace of their own.
        let space = getuid() == 0 ? ["unshare", "-m"] : ["unshare", "--user", "--map-current-user", "--mount"]
        let account = getuid() == 0 ? getpwnam("postgres") : nil
        let owner = account.map { ",uid=\($0.pointee.pw_uid),gid=\($0.pointee.pw_gid)" } ?? ""
        let mount = "mount -t tmpfs -o size=\(tablespaceBytes ?? 0)\(owner) disk '\(disk)' && exec \"$@\""
        startPrefix = tablespaceBytes == nil ? user : space + ["sh", "-c", mount, "sh"] + user
        if let account {
            guard chown(folder.path, account.pointee.pw_uid, account.pointee.pw_gid) == 0 else {
                throw Failure(description: "unable to give the folder to postgres")
            }
        }
        let made = try SpawnedProgram(
            prefix + [
                try PostgresServer.program("initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
                "--no-locale", "--no-sync",
            ])
        guard made.wait() == 0 else { throw Failure(description: "initdb failed: is the package postgresql there?") }
        if tablespaceBytes != nil { mkdir(disk, 0o777) }
        try start()
        if tablespaceBytes != nil { try query("postgres", "CREATE TABLESPACE small LOCATION '\(disk)'") }
    }

    /// Enlarges the small disk.
    package func enlargeTablespace(toBytes count: Int) throws {
        let pid = processIdentifier ?? 0
        let enter = ["nsenter", "-t", "\(pid)"] + (getuid() == 0 ? ["-m"] : ["-U", "-m", "--preserve-credentials"])
        guard try SpawnedProgram(enter + ["mount", "-o", "remount,size=\(count)", disk]).wait() == 0 else {
            throw Failure(description: "unable to enlarge the disk")
        }
    }

    deinit { process.end(with: SIGQUIT) }

    /// The folder of a program that Debian does not put into the path.
    private static func program(_ name: String) throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        guard let newest = versions.max(by: { (Int($0) ?? 0) < (Int($1) ?? 0) }) else {
            throw Failure(description: "the package postgresql is missing")
        }
        return "\(root)/\(newest)/bin/\(name)"
    }

    /// The path of the socket, in the form in which a proxy connects to it.
    package var socketPath: String { folder(".s.PGSQL.5432") }

    package var processIdentifier: Int32? { process.processIdentifier }

    /// Starts the server. It does no work of its own accord, which would add to what tests measure.
    package func start(waiting: Bool = true) throws {
        let server = try process.start(
            startPrefix + [
                try PostgresServer.program("postgres"), "-D", data, "-k", folder.path, "-c", "listen_addresses=",
                "-c", "shared_buffers=32MB", "-c", "max_connections=30", "-c", "logging_collector=off",
                "-c", "autovacuum=off", "-c", "checkpoint_timeout=1h",
            ])
        PostgresServer.endAtExit(server)
        if waiting {
            try process.waitUntilReady(atMost: .seconds(60)) { try query("postgres", "SELECT 1") == "1" }
        }
    }

    private static let running = Mutex<[SpawnedProgram]>([])

    private static let removalAtExit: Void = {
        atexit { for server in PostgresServer.running.withLock({ $0 }) { server.signal(SIGQUIT) } }
    }()

    /// A server that is shared is never released.
    private static func endAtExit(_ server: SpawnedProgram) {
        _ = PostgresServer.removalAtExit
        running.withLock { $0.append(server) }
    }

    /// Ends the server as an administrator does: its clients lose their connections.
    package func stop() { process.end(with: SIGINT) }

    /// Ends the server like a crash: it recovers at the next start.
    package func stopImmediately() { process.end(with: SIGQUIT) }

    /// Makes an empty database.
    /// - Parameter options: the end of `CREATE DATABASE name …`.
    /// - Returns: its name.
    package func makeDatabase(_ options: String = "") throws -> String {
        let name = "test\(counter.add(1, ordering: .relaxed).newValue)"
        try query("postgres", "CREATE DATABASE \(name) \(options)")
        return name
    }

    /// Returns the address of a database, for `TGPIPE_DB`.
    package func address(_ database: String, user: String = "postgres") -> String {
        "postgresql://\(user)@/\(database)?host=\(folder.path)"
    }

    /// Runs statements and returns what `psql` prints: lines of fields with `|` between them.
    @discardableResult
    package func query(_ database: String, _ sql: String) throws -> String {
        var text = try SpawnedProgram.output(
            of: ["psql", "-X", "-h", folder.path, "-U", "postgres", "-Atq", "-d", database, "-c", sql])
        while text.last == "\n" { text.removeLast() }
        return text
    }

    /// Starts statements whose end is not waited for.
    package func begin(_ database: String, _ sql: String) throws -> SpawnedProgram {
        try SpawnedProgram(["psql", "-X", "-h", folder.path, "-U", "postgres", "-q", "-d", database, "-c", sql])
    }
}
