import Envelope
import Foundation
import JSON
import Logging
import Synchronization
import System
import TestSupport
import Testing

@testable import Tracing

@Suite struct LogFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var logs: String { folder("logs") }

    private func names() -> [String] { (folderEntries(logs) ?? []).sorted() }

    private func lines() throws -> [JSON] {
        try names().flatMap { name in
            try String(contentsOfFile: "\(logs)/\(name)", encoding: .utf8).split(separator: "\n").map {
                try JSON(parsing: String($0))
            }
        }
    }

    private func add(_ count: Int, to file: LogFile, bytes: Int = 10) {
        for number in 0..<count {
            file.add { buffer, _ in
                buffer += "{\"n\":\(number),\"x\":\"\(String(repeating: "x", count: bytes))\"}\n".utf8
            }
        }
    }

    @Test func `Lines of all threads arrive whole, in a file that only its owner can read`() async throws {
        let file = LogFile(folder: logs, tool: "a-tool")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { self.add(500, to: file) } }
        }
        file.close()
        #expect(try lines().count == 2000)
        let name = try #require(names().first)
        #expect(names().count == 1 && name.hasPrefix("a-tool-\(getpid())-") && name.hasSuffix("-0.ndjson"))
        var info = stat()
        #expect(stat("\(logs)/\(name)", &info) == 0 && info.st_mode & 0o777 == 0o600)
        #expect(stat(logs, &info) == 0 && info.st_mode & 0o777 == 0o700)
    }

    @Test func `The file is locked while its process may write to it, and not afterwards`() async throws {
        let file = LogFile(folder: logs, tool: "a")
        add(1, to: file)
        #expect(try await eventually { self.names().count == 1 })
        let descriptor = open("\(logs)/\(names()[0])", O_RDONLY)
        defer { close(descriptor) }
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == -1)
        file.close()
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    }

    @Test func `A file has a limit, and lines that nobody takes are lost and counted once there is room`() async throws
    {
        var limits = LogFile.Limits()
        (limits.fileBytes, limits.files) = (4000, 2)
        let troubles = Mutex<[String]>([])
        let file = LogFile(folder: logs, tool: "a", limits: limits) { text in troubles.withLock { $0.append(text) } }
        for _ in 0..<6 {
            add(1, to: file, bytes: 1900)
            try await Task.sleep(for: .milliseconds(60))
        }
        #expect(names().count == 2)
        #expect(troubles.withLock { $0.count } == 1)
        for name in names() { unlink("\(logs)/\(name)") }
        #expect(try await eventually { try self.lines().contains { $0["lost"] != nil } })
        file.close()
        let lost = try #require(try lines().compactMap { $0["lost"]?.int }.first)
        #expect(lost == 2)
    }

    @Test func `Lines that the thread cannot write in time are counted, and logging never waits`() throws {
        var limits = LogFile.Limits()
        limits.bufferBytes = 1000
        let file = LogFile(folder: logs, tool: "a", limits: limits)
        let start = ContinuousClock.now
        add(20_000, to: file)
        let elapsed = ContinuousClock.now - start
        file.close()
        let all = try lines()
        let lost = all.compactMap { $0["lost"]?.int }.reduce(0, +)
        #expect(all.count { $0["n"] != nil } + Int(lost) == 20_000)
        #expect(lost > 0)
        #expect(elapsed < .seconds(10))
    }

    @Test func `A file that was removed is followed by another one`() async throws {
        let file = LogFile(folder: logs, tool: "a")
        add(1, to: file)
        #expect(try await eventually { try self.lines().count == 1 })
        unlink("\(logs)/\(names()[0])")
        add(1, to: file)
        file.close()
        #expect(try lines().count == 1)
        #expect(names().first?.hasSuffix("-1.ndjson") == true)
    }

    @Test func `A folder that cannot be made costs the lines, and is reported once`() async throws {
        try "x".write(toFile: folder("file"), atomically: true, encoding: .utf8)
        let troubles = Mutex<[String]>([])
        let file = LogFile(folder: folder("file/logs"), tool: "a") { text in troubles.withLock { $0.append(text) } }
        add(3, to: file)
        #expect(try await eventually { troubles.withLock { $0.count } == 1 })
        add(3, to: file)
        file.close()
        #expect(troubles.withLock { $0.count } == 1)
    }

    @Test(arguments: [0, 1_769_860_800_000_001, 1_769_860_799_999_999, 253_402_300_799_999_999])
    func `Times are written as by Timestamp`(microseconds: Int64) {
        var (text, bytes) = (TimeText(), [UInt8]())
        text.write(microseconds, to: &bytes)
        text.write(microseconds, to: &bytes)
        let expected = Timestamp(microseconds: microseconds).description
        #expect(String(decoding: bytes, as: UTF8.self) == expected + expected)
    }
}

@Suite struct SpanLogTests {
    private let folder: TemporaryFolder
    private let event = Envelope(type: "events.a", payload: [:])

    init() throws { folder = try TemporaryFolder() }

    /// Runs a body with a tracer, and returns the lines of its spans.
    private func spans(_ body: (Tracer) async throws -> Void) async throws -> [JSON] {
        let file = LogFile(folder: folder.path, tool: "a")
        try await body(Tracer(spans: SpanLog(file, tool: "a")))
        file.close()
        return try (folderEntries(folder.path) ?? []).flatMap { name in
            try String(contentsOfFile: folder(name), encoding: .utf8).split(separator: "\n").map {
                try JSON(parsing: String($0))
            }
        }
    }

    @Test func `Each handling has a span, and derived events name it`() async throws {
        let derived = Mutex<Envelope?>(nil)
        let lines = try await spans { tracer in
            tracer.handling(event) { derived.withLock { $0 = Envelope.derived(type: "events.b", payload: [:]) } }
        }
        let span = try #require(lines.first)
        let context = try #require(
            derived.withLock { $0?.meta["traceparent"]?.string }.flatMap { TraceContext($0) })
        #expect(lines.count == 1)
        #expect(span["span_id"]?.string == SpanLog.text(context.span))
        #expect(context.trace == event.correlationID && context.isSampled)
        #expect(span["parent_id"] == nil && span["trace_id"] == nil)
        #expect(span["correlation_id"]?.string == event.correlationID.description)
        #expect(span["event_id"]?.string == event.id.description)
        #expect(span["event_type"] == "events.a" && span["operation"] == "process" && span["outcome"] == "done")
        #expect(try #require(span["duration_ns"]?.int) > 0)
    }

    @Test func `A valid traceparent from outside gives the trace and the parent`() async throws {
        var event = event
        event.meta["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
        let lines = try await spans { tracer in tracer.handling(event) {} }
        #expect(lines[0]["parent_id"] == "b7ad6b7169203331")
        #expect(lines[0]["trace_id"] == "0af7651916cd43dd8448eb211c80319c")
        #expect(lines[0]["sampled"] == false)
    }

    @Test func `The first event of a request names the span that made it`() async throws {
        let lines = try await spans { tracer in
            let (handling, named) = tracer.beginCreating(event)
            #expect(named.meta["traceparent"]?.string.flatMap { TraceContext($0) } == handling.correlation.trace)
            #expect(handling.correlation.trace != nil)
            handling.end(.done)
        }
        #expect(lines[0]["operation"] == "create")
    }

    @Test func `Code outside of a handling finds the span of its event`() async throws {
        let lines = try await spans { tracer in
            let handling = tracer.begin(event)
            let span = Tracer.correlating(with: event) { Correlation.current?.trace }
            #expect(span == handling.correlation.trace && span != nil)
            handling.end(.done)
            #expect(Tracer.correlating(with: event) { Correlation.current?.trace } == nil)
        }
        #expect(lines.count == 1)
    }

    @Test func `Failures have their reason without secrets, and the attempt`() async throws {
        KnownSecrets.remember("hunter2hunter2")
        var secret = event
        secret.type = "events.hunter2hunter2"
        let lines = try await spans { tracer in
            let handling = tracer.begin(secret, attempt: 3)
            handling.end(.failed, error: ToolError(.unavailable, "no answer from hunter2hunter2"))
        }
        #expect(lines[0]["error"] == "no answer from [secret]")
        #expect(lines[0]["event_type"] == "events.[secret]")
        #expect(lines[0]["attempt"] == 3 && lines[0]["outcome"] == "failed")
    }

    @Test func `Ids of spans are unique`() async throws {
        let lines = try await spans { tracer in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { for _ in 0..<500 { tracer.handling(self.event) {} } } }
            }
        }
        #expect(Set(lines.compactMap { $0["span_id"]?.string }).count == 4000)
    }

    @Test func `Without a span log, derived events keep the traceparent that came in`() throws {
        var event = event
        event.meta["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let derived = Tracer().handling(event) { Envelope.derived(type: "events.b", payload: [:]) }
        #expect(derived.meta["traceparent"] == event.meta["traceparent"])
    }
}
