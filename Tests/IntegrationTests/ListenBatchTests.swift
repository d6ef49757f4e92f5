import Envelope
import Foundation
import Glibc
import JSON
import Payloads
import Synchronization
import TestSupport
import Testing

/// Tests that updates that arrive together are emitted together, and that a kill in the midst of them does no harm.
@Suite(.timeLimit(.minutes(5))) struct ListenBatchTests {
    private let alice: AccountFixture
    private let state: String

    init() async throws {
        alice = try await AccountFixture()
        state = alice.folder("listen.state")
    }

    private func start(to output: String, _ more: String...) throws -> ToolRun {
        try ToolRun(
            "tg-listen", ["--session", AccountFixture.name, "--state", state, "--to", output] + more,
            environment: alice.environment, folder: alice.folder)
    }

    /// Runs the listener until no update is missing.
    private func listenOnce(to output: String) async throws {
        let result = try await start(to: output, "--once").result()
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
    }

    /// Lets Bob write messages, of which the account learns at once.
    private func write(_ count: Int, _ text: String) async throws {
        try await alice.emulator.control(
            "hold", ["account": .integer(MTProtoEmulator.alice), "together": 100])
        try await alice.control(
            "burst",
            [
                "chat_id": 77, "from": ["id": 77, "first_name": "Bob", "username": "bobby"],
                "text": .string(text + " {n}"), "count": .integer(Int64(count)),
            ])
        try await alice.emulator.control("release", ["account": .integer(MTProtoEmulator.alice)])
    }

    /// The updates in a text of whole and torn lines.
    private func updates(in text: String) -> [TelegramUpdate] {
        text.split(separator: "\n").compactMap { line in
            (try? Envelope(try JSON(parsing: String(line)))).flatMap { try? TelegramUpdate($0) }
        }
    }

    private func revision() throws -> Int64 {
        try JSON(parsing: try String(contentsOfFile: state, encoding: .utf8))["revision"]?.int ?? 0
    }

    @Test func `The position is saved once for many updates that arrive together`() async throws {
        let output = alice.folder("out.ndjson")
        try await listenOnce(to: output)
        let run = try start(to: output)
        #expect(try await eventually { run.log.contains("listening") })
        try await write(1, "first")
        #expect(
            try await eventually {
                updates(in: (try? String(contentsOfFile: output, encoding: .utf8)) ?? "").count == 1
            })
        let before = try revision()
        try await write(500, "together")
        #expect(
            try await eventually {
                updates(in: (try? String(contentsOfFile: output, encoding: .utf8)) ?? "").count == 501
            })
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
        let emitted = updates(in: try String(contentsOfFile: output, encoding: .utf8))
        #expect(emitted.map(\.updateID) == (1...501).map { $0 })
        let texts = emitted.map { $0.body["text"]?.string ?? "" }
        #expect(Set(texts).count == 501)
        // A container has 100 updates, and each batch that is saved raises the revision by two.
        let rise = try revision() - before
        #expect(rise <= 2 * 2 * 5, "\(rise)")
        #expect(try await alice.violations() == [])
    }

    @Test func `A batch that a file has beyond the saved position is not emitted again`() async throws {
        let output = alice.folder("out.ndjson")
        try await listenOnce(to: output)
        let old = try Data(contentsOf: URL(fileURLWithPath: state))
        try await write(90, "missed")
        try await listenOnce(to: output)
        let whole = try Data(contentsOf: URL(fileURLWithPath: output))
        #expect(updates(in: String(decoding: whole, as: UTF8.self)).count == 90)
        // A kill in the midst of the write: the file has 89 lines and a part of the last one, and the position is that from before.
        try whole.dropLast(20).write(to: URL(fileURLWithPath: output))
        try old.write(to: URL(fileURLWithPath: state))
        try await write(5, "new")
        try await listenOnce(to: output)
        let emitted = updates(in: try String(contentsOfFile: output, encoding: .utf8))
        #expect(emitted.map(\.updateID) == (1...95).map { $0 })
        #expect(Set(emitted.map { $0.body["message_id"]?.int }).count == 95)
        #expect(try await alice.violations() == [])
    }

    /// The pipe is full most of the time, so that most kills come while a batch is written.
    @Test func `A kill repeats at most one update of a batch in a pipe that is read slowly`() async throws {
        let path = alice.folder("pipe")
        #expect(mkfifo(path, 0o600) == 0)
        let reader = try SlowReader(path)
        try await listenOnce(to: path)
        let (count, kills) = (600, 4)
        try await write(count, "slow")
        for number in 1...kills {
            let run = try start(to: path)
            // The first lines are in the pipe at once. The next ones follow as it is read.
            #expect(try await eventually { reader.lines > 90 * number })
            run.signal(SIGKILL)
            _ = try await run.result()
        }
        reader.hurry()
        try await listenOnce(to: path)
        #expect(
            try await eventually { Set(updates(in: reader.text).map { $0.body["message_id"]?.int }).count == count })
        let ids = updates(in: reader.text).compactMap { $0.body["message_id"]?.int }
        #expect(ids.count - Set(ids).count <= kills, "\(ids.count - Set(ids).count) repeated")
        #expect(ids == ids.sorted())
        #expect(try await alice.violations() == [])
    }
}

/// Reads a FIFO in small pieces, with pauses.
private final class SlowReader: Sendable {
    private let read = Mutex<[UInt8]>([])
    private let pause = Atomic<UInt32>(4_000)
    private let descriptor: Int32

    init(_ path: String) throws {
        // With both ends open, the FIFO keeps its contents while no listener has it open.
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw POSIXError(.ENOENT) }
        Thread.detachNewThread { [weak self, descriptor] in
            var piece = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = Glibc.read(descriptor, &piece, piece.count)
                guard count > 0, let self else { return }
                read.withLock { $0 += piece[..<count] }
                usleep(pause.load(ordering: .relaxed))
            }
        }
    }

    /// Reads without pauses from now on.
    func hurry() { pause.store(0, ordering: .relaxed) }

    var text: String { read.withLock { String(decoding: $0, as: UTF8.self) } }
    var lines: Int { read.withLock { $0.count { $0 == 0x0A } } }
}
