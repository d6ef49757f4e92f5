import Foundation
import JSON
import Synchronization
import TestSupport
import Testing

/// Collects requests of OTLP, and answers them as a test says.
private final class Collector: Sendable {
    enum Answer: Sendable {
        case ok
        case status(Int, [(String, String)] = [])
        case partly(json: String)
        case hangUp
    }

    let server: LoopbackServer

    /// - Parameter answers: for the first requests in order; then all are accepted.
    init(_ answers: [Answer] = []) throws {
        let left = Mutex(answers[...])
        server = try LoopbackServer { request, connection in
            switch left.withLock({ $0.popFirst() }) ?? .ok {
            case .ok: connection.respond(200, [("Content-Type", "application/x-protobuf")])
            case .status(let status, let headers): connection.respond(status, headers, text: "no")
            case .partly(let json): connection.respond(200, [("Content-Type", "application/json")], text: json)
            case .hangUp: connection.reset()
            }
        }
    }

    var endpoint: String { server.url("") }

    /// The ids of the spans in the JSON of all requests.
    var spanIDs: [String] {
        server.requests.flatMap { request in
            (try? JSON(parsing: request.body))?["resourceSpans"]?.array?.flatMap { resource in
                resource["scopeSpans"]?.array?.flatMap { $0["spans"]?.array?.compactMap { $0["spanId"]?.string } ?? [] }
                    ?? []
            } ?? []
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct LogExportTests {
    private let fixture: LogFixture

    init() throws { fixture = try LogFixture() }

    private func span(_ number: Int, _ rest: String = #""outcome":"done""#) -> String {
        let digits = String(number, radix: 16)
        let id = String(repeating: "0", count: 16 - digits.count) + digits
        return
            #"{"time":"2026-01-31T12:00:00.000001Z","tool":"tg-gate","pid":7,"span_id":"\#(id)","parent_id":"00000000000000ff","correlation_id":"0191e0a0-0000-7000-8000-0000000000aa","event_id":"0191e0a0-0000-7000-8000-0000000000ab","event_type":"events.a","operation":"process","duration_ns":1500,\#(rest)}"#
    }

    private func importSpans(_ numbers: ClosedRange<Int>) async throws {
        let lines = numbers.map { span($0) }.joined(separator: "\n")
        #expect(try await fixture.log("import", input: lines).status == 0)
    }

    private func export(
        _ arguments: [String] = [], to collector: Collector, _ variables: [String: String] = [:]
    ) async throws -> ToolRun.Result {
        var environment = fixture.quiet
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
        environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/json"
        environment.merge(variables) { $1 }
        return try await ToolRun.run(
            "ev-log", ["export", "--once"] + arguments, environment: environment, folder: fixture.folder)
    }

    @Test func `Spans are sent once, in batches of 512, and the next run continues`() async throws {
        try await importSpans(1...1300)
        let collector = try Collector()
        #expect(try await export(to: collector).status == 0)
        #expect(collector.server.requests.count == 3)
        #expect(collector.server.requests.allSatisfy { $0.method == "POST" && $0.target == "/v1/traces" })
        #expect(Set(collector.spanIDs).count == 1300 && collector.spanIDs.count == 1300)
        try await importSpans(1301...1302)
        #expect(try await export(to: collector).status == 0)
        #expect(collector.server.requests.count == 4 && collector.spanIDs.count == 1302)
        #expect(try await export(to: collector).status == 0)
        #expect(collector.server.requests.count == 4)
    }

    @Test func `429, 503 and broken connections are tried again, and Retry-After is kept`() async throws {
        try await importSpans(1...3)
        let collector = try Collector([.status(429, [("Retry-After", "3")]), .status(503), .hangUp])
        let start = ContinuousClock.now
        let result = try await export(to: collector)
        #expect(result.status == 0)
        #expect(ContinuousClock.now - start > .seconds(3))
        #expect(collector.server.requests.count == 4)
        #expect(Set(collector.spanIDs).count == 3)
    }

    @Test(arguments: [400, 401, 404, 500, 501])
    func `Other statuses are final: the batch is counted and not sent again`(status: Int) async throws {
        try await importSpans(1...600)
        let collector = try Collector([.status(status)])
        let result = try await export(to: collector)
        #expect(result.status == 0)
        #expect(collector.server.requests.count == 2)
        #expect(result.errors.contains("\"rejected\":512"))
        #expect(result.errors.contains("\"sent\":88"))
    }

    @Test func `What a collector takes in part is not sent again`() async throws {
        try await importSpans(1...3)
        let collector = try Collector([
            .partly(json: #"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#)
        ])
        let result = try await export(to: collector)
        #expect(result.status == 0)
        #expect(collector.server.requests.count == 1)
        #expect(result.errors.contains("too old") && result.errors.contains("\"rejected\":2"))
    }

    @Test func `While the collector is away, nothing is lost`() async throws {
        try await importSpans(1...700)
        let away = try Collector(Array(repeating: .status(503), count: 5))
        let failed = try await export(to: away)
        #expect(failed.status == 69)
        #expect(away.server.requests.count == 5)
        let collector = try Collector()
        #expect(try await export(to: collector).status == 0)
        #expect(Set(collector.spanIDs).count == 700)
    }

    @Test func `Protobuf and JSON decode to the same values, for spans and for log lines`() async throws {
        let lines = [
            span(1),
            span(
                2,
                #""outcome":"failed","error":"no \"route\"","attempt":3,"queue":"jobs","causation_id":"0191e0a0-0000-7000-8000-0000000000ac""#
            ),
            span(3, #""outcome":"done","trace_id":"0af7651916cd43dd8448eb211c80319c""#).replacing(
                "tg-gate", with: "tg-send"),
            #"{"time":"2026-01-31T12:00:01.000001Z","level":"warning","tool":"tg-gate","correlation_id":"0191e0a0-0000-7000-8000-0000000000aa","message":"ünïcode \u0000","count":-5,"share":0.5,"ok":true,"list":[1,2],"span_id":"0000000000000001"}"#,
            #"{"time":"2026-01-31T12:00:02.000001Z","level":"info","tool":"a","message":""}"#,
        ]
        #expect(try await fixture.log("import", input: lines.joined(separator: "\n")).status == 0)
        let environment = [
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test%20it,x=y", "OTEL_SERVICE_NAME": "bot",
        ]
        var bodies: [String: [UInt8]] = [:]
        for encoding in ["http/json", "http/protobuf"] {
            for name in ["traces", "logs"] { unlink("\(fixture.store)/export-\(name).json") }
            let collector = try Collector()
            let result = try await export(
                ["--logs"], to: collector, environment.merging(["OTEL_EXPORTER_OTLP_PROTOCOL": encoding]) { $1 })
            #expect(result.status == 0)
            #expect(collector.server.requests.count == 2)
            for request in collector.server.requests {
                #expect(
                    request.header("content-type")
                        == (encoding == "http/json" ? "application/json" : "application/x-protobuf"))
                bodies["\(request.target) \(encoding)"] = request.body
            }
        }
        var decoded: [String: JSON] = [:]
        for kind in ["traces", "logs"] {
            for (encoding, name) in [("http/json", "json"), ("http/protobuf", "pb")] {
                let body = try #require(bodies["/v1/\(kind) \(encoding)"])
                try Data(body).write(to: URL(filePath: fixture.folder("\(kind).\(name)")))
            }
            let output = try SpawnedProgram.output(of: [
                "\(PythonTools.binFolder())/python", "-B", "\(testFolder)/IntegrationTests/otlp_values.py", kind,
                fixture.folder("\(kind).pb"), fixture.folder("\(kind).json"),
            ])
            decoded[kind] = try JSON(parsing: output)
        }
        let resources = try #require(decoded["traces"]?["resourceSpans"]?.array)
        #expect(resources.count == 2)
        let attributes = resources[0]["resource"]?["attributes"]?.array ?? []
        #expect(attributes.contains(["key": "service.name", "value": ["stringValue": "bot"]]))
        #expect(attributes.contains(["key": "deployment.environment", "value": ["stringValue": "test it"]]))
        let spans = try #require(resources[0]["scopeSpans"]?.array?.first?["spans"]?.array)
        #expect(spans.count == 2)
        #expect(spans[0]["traceId"] == "0191e0a00000700080000000000000aa" && spans[0]["spanId"] == "0000000000000001")
        #expect(
            spans[0]["parentSpanId"] == "00000000000000ff"
                && spans[0]["links"]?.array?.first?["spanId"] == "00000000000000ff")
        #expect(spans[0]["name"] == "process events.a" && spans[0]["kind"] == 5)
        #expect(
            spans[0]["startTimeUnixNano"] == "1769860800000001000"
                && spans[0]["endTimeUnixNano"] == "1769860800000002500")
        let facts = spans[1]["attributes"]?.array ?? []
        for (key, value) in [
            ("messaging.system", "redis_streams"), ("messaging.destination.name", "jobs"),
            ("messaging.operation.type", "process"),
            ("messaging.message.conversation_id", "0191e0a0-0000-7000-8000-0000000000aa"), ("error.type", "failed"),
        ] { #expect(facts.contains(["key": .string(key), "value": ["stringValue": .string(value)]])) }
        #expect(spans[1]["status"] == ["message": "no \"route\"", "code": 2])
        let other = resources[1]["scopeSpans"]?.array?.first?["spans"]?.array?.first
        #expect(other?["traceId"] == "0af7651916cd43dd8448eb211c80319c")
        let records = (decoded["logs"]?["resourceLogs"]?.array ?? []).flatMap {
            $0["scopeLogs"]?.array?.first?["logRecords"]?.array ?? []
        }
        #expect(records.count == 2)
        #expect(records[0]["severityNumber"] == 13 && records[0]["body"]?["stringValue"] == "ünïcode \u{0}")
        #expect(records[0]["attributes"]?.array?.contains(["key": "count", "value": ["intValue": "-5"]]) == true)
        #expect(records[0]["spanId"] == "0000000000000001")
    }

    @Test func `With gzip, a collector gets the same request, packed`() async throws {
        try await importSpans(1...200)
        let names = ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"]
        var bodies: [[UInt8]] = []
        for variables in [[:], [names[0]: "gzip"], [names[0]: "none", names[1]: "gzip"], [names[1]: "lz4"]] {
            unlink("\(fixture.store)/export-traces.json")
            let collector = try Collector()
            let result = try await export(to: collector, variables)
            #expect(result.status == 0)
            let request = try #require(collector.server.requests.first)
            let isPacked = variables.values.contains("gzip")
            #expect(request.header("content-encoding") == (isPacked ? "gzip" : nil))
            #expect(result.errors.contains("neither gzip nor none") == variables.values.contains("lz4"))
            guard isPacked else {
                bodies.append(request.body)
                continue
            }
            #expect(request.body.count * 5 < bodies[0].count)
            try Data(request.body).write(to: URL(filePath: fixture.folder("body.gz")))
            let unpacked = try SpawnedProgram.output(of: ["gzip", "-dc", fixture.folder("body.gz")])
            #expect(Array(unpacked.utf8) == bodies[0])
        }
        #expect(bodies.count == 2 && bodies[0] == bodies[1])
    }

    @Test func `The standard variables choose the endpoint, the headers and the share of the traces`() async throws {
        try await importSpans(1...2)
        let collector = try Collector()
        let result = try await export(
            to: collector,
            [
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.server.url("/own/path"),
                "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b, Authorization=Bearer%20zzz",
            ])
        #expect(result.status == 0)
        let request = try #require(collector.server.requests.first)
        #expect(
            request.target == "/own/path" && request.header("x-key") == "a b"
                && request.header("authorization") == "Bearer zzz")
        for variables in [
            ["OTEL_SDK_DISABLED": "true"], ["OTEL_TRACES_EXPORTER": "none"], ["OTEL_TRACES_SAMPLER": "always_off"],
            ["OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"],
        ] {
            unlink("\(fixture.store)/export-traces.json")
            #expect(try await export(to: collector, variables).status == 0)
        }
        #expect(collector.server.requests.count == 1)
        for variables in [
            ["OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"], ["OTEL_EXPORTER_OTLP_TIMEOUT": "-1"], ["OTEL_TRACES_SAMPLER": "x"],
            ["OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://x"], ["OTEL_EXPORTER_OTLP_HEADERS": "x"],
        ] { #expect(try await export(to: collector, variables).status == 78) }
    }
}
