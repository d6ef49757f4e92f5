import Foundation
import JSON
import TestSupport
import Testing

/// Asks what happened to each of many requests that came at the same time.
@Suite(.timeLimit(.minutes(4))) struct LogPeopleTests {
    private let fixture: LogFixture
    private let telegram: BotEmulator
    private let redis: RedisServer
    private let site: WebSite
    private let people = Int64(1001)...1020

    init() throws {
        (fixture, telegram, redis) = (try LogFixture(), try BotEmulator(), try RedisServer())
        let folder = fixture.folder("www")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(repeating: 7, count: 400_000).write(to: URL(fileURLWithPath: "\(folder)/file.bin"))
        site = try WebSite(root: folder)
    }

    private func start(_ tool: String, _ arguments: String...) throws -> ToolRun {
        var environment = telegram.environment.merging(fixture.environment) { $1 }
        environment["TGPIPE_REDIS"] = redis.address
        environment["TG_ADMIN_ID"] = "1"
        return try ToolRun(tool, arguments, environment: environment, folder: fixture.folder)
    }

    @Test func `Of twenty people who ask for the same at once, each one's trace is their own request, whole`()
        async throws
    {
        for person in people { try redis.cli("SET", "tgpipe:{access}:bless:\(person)", "{}") }
        let store = "file:\(fixture.folder("objects"))"
        let stages = [
            try start("tg-listen", "--bot", "--to", "queue:raw"),
            try start("tg-gate", "--from", "queue:raw", "--to", "queue:commands"),
            try start(
                "media-fetch", "--from", "queue:commands", "--to", "queue:fetched", "--allow-private", "--store", store),
            try start("blob-put", "--from", "queue:fetched", "--to", "queue:answers", "--store", store),
            try start("tg-send", "--from", "queue:answers", "--to", "queue:sent", "--no-pacing"),
        ]
        let command = ".vdl \(site.url)/slow/60000/file.bin"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for person in people {
                group.addTask { try await telegram.say(command, as: BotEmulator.User(person, "User")) }
            }
            try await group.waitForAll()
        }
        var answers: [Int64: Int64] = [:]
        for person in people {
            let isAnswered = try await eventuallyAsync {
                let answer = try await telegram.answers(in: person).first { $0.message["document"] != nil }
                answers[person] = answer?.id
                return answer != nil
            }
            #expect(isAnswered, "\(person)")
        }
        for stage in stages {
            stage.signal(SIGTERM)
            #expect(try await stage.result().status == 0)
        }
        #expect(try await fixture.runOnce().status == 0)
        var seen: [String: Int64] = [:]
        var (owners, waiters) = (0, 0)
        var (requests, waitedFor): (Set<String>, Set<String>) = ([], [])
        for person in people {
            let result = try await fixture.log("trace", "\(person):\(answers[person] ?? 0)", "--json")
            #expect(result.status == 0, "\(person): \(result.errors)")
            guard result.status == 0 else { continue }
            let trace = try JSON(parsing: result.output)
            let items = trace["items"]?.array ?? []
            let spans = items.filter { $0["span_id"] != nil }
            for span in spans { #expect(seen.updateValue(person, forKey: span["span_id"]?.string ?? "") == nil) }
            #expect(trace["missing_spans"] == nil, "\(person)")
            let first = spans.filter { $0["operation"] == "create" }
            #expect(first.count == 1 && first[0]["tool"] == "tg-listen" && first[0]["depth"] == 0, "\(person)")
            let others = spans.filter { $0["depth"] == 0 && $0["operation"] != "create" }
            #expect(others.isEmpty, "\(person): \(others)")
            for tool in ["tg-gate", "media-fetch", "blob-put", "tg-send"] {
                // Who asks when the work is done gets the object that is there, with which blob-put has nothing to do.
                for operation in ["receive", "settle"] + (tool == "blob-put" ? [] : ["process"]) {
                    let isThere = spans.contains { $0["tool"]?.string == tool && $0["operation"]?.string == operation }
                    #expect(isThere, "\(person): \(tool) \(operation)")
                }
            }
            #expect(
                spans.filter { $0["operation"] == "process" }.allSatisfy {
                    ["done", "held"].contains($0["outcome"]?.string)
                })
            let chats = Set(items.compactMap { $0["log"]?["chat_id"]?.int })
            #expect(chats == [person], "\(person): \(chats)")
            requests.insert(trace["correlation_id"]?.string ?? "")
            if trace["waits_for"] != nil { waiters += 1 }
            for work in trace["waited_for"]?.array ?? [] {
                owners += 1
                waitedFor.formUnion((work["requests"]?.array ?? []).compactMap(\.string))
            }
        }
        // On a busy machine, some may come when the work is done.
        #expect(requests.count == people.count && owners >= 1 && waiters >= 1)
        #expect(waitedFor.count == waiters && waitedFor.isSubset(of: requests))

        let rotel = try await Rotel(fixture.folder)
        let export = fixture.quiet.merging(["OTEL_EXPORTER_OTLP_ENDPOINT": rotel.endpoint]) { $1 }
        let sent = try await ToolRun.run("ev-log", ["export", "--once"], environment: export, folder: fixture.folder)
        #expect(sent.status == 0 && sent.errors.contains("\"rejected\":0"))
        #expect(try await eventually { rotel.values("ID").count >= seen.count })
        rotel.stop()
        let (found, parents, traces) = (rotel.values("ID"), rotel.values("Parent ID"), rotel.values("Trace ID"))
        #expect(Set(found).isSuperset(of: seen.keys) && found.count == parents.count && found.count == traces.count)
        #expect(Set(parents).subtracting([""]).isSubset(of: found))
        // Spans of one person are in one trace, and no other person's are in it.
        var owner: [String: Int64] = [:]
        for (span, trace) in zip(found, traces) {
            guard let person = seen[span] else { continue }
            #expect(owner.updateValue(person, forKey: trace) ?? person == person)
        }
        #expect(owner.count == people.count)
    }
}
