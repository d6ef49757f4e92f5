import Crypto
import Foundation
import Glibc
import JSON
import System
import TestSupport

/// Runs the tools of an archive on one channel, with pipes between them as a shell makes them.
struct ArchivePipeline: Sendable {
    static let chat: Int64 = -1_000_000_000_005

    let fixture: HistoryFixture
    /// The address of the database.
    let database: String

    private var variables: [String: String] {
        fixture.alice.environment.merging(
            ["TGPIPE_DB": database, "TGPIPE_STATE": fixture.alice.folder("state"), "TGPIPE_LOG": "json:info"]
        ) { $1 }
    }

    /// The end of a program, to be asked without blocking other tests.
    struct Program: Sendable {
        let program: SpawnedProgram

        func status() async -> Int32 { await BlockingThread.once { [program] in program.wait() } }
    }

    /// Makes a channel with messages that a seed determines, which all accounts see.
    func seed(_ count: Int64, seed: Int64 = 5) async throws {
        try await fixture.alice.emulator.control(
            "seeded",
            [
                "accounts": .array(fixture.sessions.map { .integer($0.id) }), "chat_id": .integer(Self.chat),
                "chat_type": "channel", "count": .integer(count), "seed": .integer(seed), "holes": 0.05,
                "title": "News", "chat_username": "some_news",
            ])
    }

    func run(_ tool: String, _ arguments: [String]) async throws -> ToolRun.Result {
        try await ToolRun.run(tool, arguments, environment: variables, folder: fixture.alice.folder)
    }

    func start(_ tool: String, _ arguments: [String]) throws -> ToolRun {
        try ToolRun(tool, arguments, environment: variables, folder: fixture.alice.folder)
    }

    /// Starts two tools, the second of which reads what the first one writes. Their logs go to a file.
    func pipe(
        _ first: [String], from input: String? = nil, into second: [String]
    ) throws -> (first: Program, second: Program) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw ToolError.localIO("unable to make a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { for end in ends { close(end) } }
        let log = open(fixture.alice.folder("pipeline.log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        defer { close(log) }
        var source: Int32?
        if let input {
            let path = fixture.alice.folder("input.\(UUID().uuidString)")
            try input.write(toFile: path, atomically: false, encoding: .utf8)
            source = open(path, O_RDONLY | O_CLOEXEC)
        }
        defer { if let source { close(source) } }
        return (
            Program(program: try SpawnedProgram(words(first), descriptors: [source, ends[1], log])),
            Program(program: try SpawnedProgram(words(second), descriptors: [ends[0], nil, log]))
        )
    }

    private func words(_ arguments: [String]) -> [String] {
        ["env"] + variables.map { "\($0.key)=\($0.value)" } + [ToolRun.path(of: arguments[0])]
            + arguments.dropFirst()
    }

    /// The end of the logs of all pipes.
    var log: String {
        String(
            ((try? String(contentsOfFile: fixture.alice.folder("pipeline.log"), encoding: .utf8)) ?? "").suffix(30000))
    }

    /// Reads and stores what is missing, once.
    func fill() async throws {
        let plan = try await run("msg-store", ["plan", "--", "\(Self.chat)"])
        let tools = try pipe(["tg-history"] + fixture.arguments, from: plan.output, into: ["msg-store", "load"])
        _ = await tools.first.status()
        _ = await tools.second.status()
    }

    // MARK: Comparing

    /// Compares the SHA-256 of all messages that the emulator has with that of those in the archive.
    ///
    /// - Returns: the first lines that differ; none if all is the same.
    func differences(_ server: PostgresServer, _ name: String) async throws -> [String] {
        let (stored, emulator) = (try stored(server, name), fixture.alice.emulator.server)
        let told = try await emulator.call(
            "GET", "/control/mtproto/seeded/\(Self.chat)?account=\(MTProtoEmulator.alice)")["sha256"]?.string
        guard SHA256.hexDigest(Array((stored + "\n").utf8)) != told else { return [] }
        let rows = try SpawnedProgram.output(
            of: [
                "curl", "-s",
                "\(emulator.url)/control/mtproto/seeded/\(Self.chat)/rows?account=\(MTProtoEmulator.alice)",
            ])
        let (here, there) = (Set(stored.split(separator: "\n")), Set(rows.split(separator: "\n")))
        let lines =
            there.subtracting(here).map { "at Telegram: \($0)" } + here.subtracting(there).map { "here: \($0)" }
        return lines.isEmpty ? ["nothing but the order"] : Array(lines.sorted().prefix(20))
    }

    /// The messages that the archive has, in the form that the emulator hashes.
    private func stored(_ server: PostgresServer, _ name: String) throws -> String {
        func seconds(_ column: String) -> String { "EXTRACT(EPOCH FROM \(column))::bigint" }
        return try server.query(
            name,
            "COPY (SELECT chat_id, message_id, \(seconds("date")), \(seconds("edit_date")), sender_id, "
                + "COALESCE(text, ''), reply_to_id, topic_id, album_id, views, forwards, replies, "
                + "\(seconds("forward_date")), forward_from_id, forward_message_id FROM messages "
                + "WHERE deleted_at IS NULL ORDER BY message_id) TO STDOUT")
    }
}
