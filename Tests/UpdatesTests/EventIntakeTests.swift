import Accounts
import JSON
import Logging
import Synchronization
import TL
import Testing

@testable import Updates

@Suite struct EventIntakeTests {
    private let log = LogRecorder()
    private let intake: EventIntake
    private var sequencer = UpdateSequencer(
        state: UpdateState(pts: 0, qts: 0, date: 1000, seq: 1), own: 42, isBot: false)

    init() throws {
        intake = EventIntake(account: try SilentAccount(), log: log.logger)
        _ = sequencer.answer(.difference, ["_": "updates.differenceEmpty", "date": 1000, "seq": 1], at: .zero)
    }

    @Test mutating func `An update is emitted`() async throws {
        let update = #"{"_":"updateNewMessage","message":{"_":"message","id":1},"pts":1,"pts_count":1}"#
        let emissions = try await take(.updates(text(#"{"_":"updateShort","update":\#(update),"date":1000}"#)))
        #expect(emissions.map(\.update) == [try JSON(parsing: update)])
        #expect(sequencer.nextRequest(at: .zero) == nil && log.lines == [])
    }

    @Test(arguments: ["", "{", #"{"_":"updates","#, "\u{0}"])
    mutating func `An unreadable update is logged and causes a difference request`(_ line: String) async throws {
        #expect(sequencer.nextRequest(at: .zero) == nil)
        #expect(try await take(.updates(text(line))).isEmpty)
        #expect(sequencer.nextRequest(at: .zero) == .difference)
        #expect(log.lines.count == 1)
        #expect(log.lines.first?.hasPrefix("warning: unable to read an update of \(line.utf8.count) bytes: ") == true)
        #expect(log.lines.first?.hasSuffix("; requesting the difference") == true)
    }

    @Test mutating func `Faulty TL bytes are logged and cause a difference request`() async throws {
        let decoder = SharedTLDecoder(try TLSchema())
        #expect(try await take(.updates(TLValue(bytes: [1, 2, 3, 4], decoder: decoder))).isEmpty)
        #expect(sequencer.nextRequest(at: .zero) == .difference && log.lines.count == 1)
    }

    @Test mutating func `A gap causes a difference request without a warning`() async throws {
        #expect(try await take(.gap).isEmpty)
        #expect(sequencer.nextRequest(at: .zero) == .difference && log.lines == [])
    }

    @Test mutating func `The state of the connection is logged`() async throws {
        _ = try await take(.waiting("no network"))
        _ = try await take(.ready)
        #expect(log.lines == ["notice: no connection to Telegram: no network", "debug: connected to Telegram"])
    }

    private mutating func take(_ event: AccountEvent) async throws -> [Emission] {
        try await intake.take(event, into: &sequencer, at: .zero)
    }

    private func text(_ text: String) -> TLValue { TLValue(text: Array(text.utf8)) }
}

/// Records log lines as `level: message`.
private final class LogRecorder: Sendable {
    private let recorded = Mutex<[String]>([])

    var lines: [String] { recorded.withLock { $0 } }

    var logger: Logger { Logger(label: "test") { _ in Handler(recorder: self) } }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            recorder.recorded.withLock { $0.append("\(event.level): \(event.message)") }
        }
    }
}

/// An account that knows no peer and answers no call.
private struct SilentAccount: Account {
    let userID: Int64 = 42
    let isBot = false
    let schema: TLSchema

    init() throws { schema = try TLSchema() }

    func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> TLValue {
        throw TLError(.unknownName, "no call was expected")
    }

    func upload(_ path: String, key: String, onProgress: @escaping TransferProgress) async throws -> JSON { .null }

    func download(_ file: RemoteFile, to path: String, onProgress: @escaping TransferProgress) async throws {}

    func events() async throws -> any AsyncSequence<AccountEvent, any Error> & Sendable {
        AsyncThrowingStream { $0.finish() }
    }

    func sentByProgram(_ message: JSON) async throws -> Bool { false }
    func peer(_ id: Int64) async throws -> JSON? { nil }
}
