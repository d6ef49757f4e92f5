@testable import Accounts
import JSON
import System
import Glibc
import MTProto
import TestSupport
import Testing

/// An account that is shared over a socket.
@Suite struct OwnerTests {
    /// Runs Alice's client and its owner while `body` does.
    static func whileShared<Value: Sendable>(
        _ work: AtWork, _ body: @escaping @Sendable (NamedSession) async throws -> Value
    ) async throws -> Value {
        let place = work.place()
        let client = try work.client()
        let owner = AccountOwner(account: client, session: place, schemaPath: nil, log: work.log)
        let (closing, ready) = (Promise<Void>(), Promise<Void>())
        return try await client.whileRunning {
            async let serving: Void = owner.serve(until: closing) { ready.fulfil(.success(())) }
            try await ready.value()
            let result: Result<Value, any Error>
            do { result = .success(try await body(place)) } catch { result = .failure(error) }
            closing.fulfil(.success(()))
            try await serving
            return try result.get()
        }
    }

    static func remotely<Value: Sendable>(
        _ place: NamedSession, _ body: @escaping @Sendable (RemoteAccount) async throws -> Value
    ) async throws -> Value {
        let account = RemoteAccount(place.socketPath, schema: try AtWork.schema.get())
        return try await running(account.run) {
            try await account.start()
            return try await body(account)
        }
    }

    @Test func `Calls, peers, events and refusals cross the socket unchanged`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        try await Self.whileShared(work) { place in
            try await Self.remotely(place) { account async throws in
                #expect(account.userID == MTProtoEmulator.alice)
                #expect(try await account.me() == MTProtoEmulator.alice)
                let events = try await account.events()
                _ = try await account.me()
                try await work.emulator.write("over the socket")
                #expect(try await DirectAccountTests.firstUpdate(of: events).contains("over the socket"))
                let refused = await #expect(throws: TelegramRPCError.self) {
                    try await account.call(
                        "contacts.resolveUsername", ["username": "nobody_of_this_name"], CallOptions())
                }
                #expect(refused?.text == "USERNAME_NOT_OCCUPIED")
            }
        }
        try await work.expectNoViolations()
    }

    @Test func `A flood wait that is observed is reported over the socket`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        try await work.emulator.control(
            "fault", ["method": "help.getNearestDc", "kind": "flood", "seconds": 1, "times": 1])
        try await Self.whileShared(work) { place in
            try await Self.remotely(place) { account in
                let told = Told()
                var options = CallOptions()
                options.longestWait = .seconds(3)
                options.onWait = { told.add($0.reason) }
                _ = try await account.call("help.getNearestDc", [:], options)
                #expect(told.words == ["FLOOD_WAIT_1"])
            }
        }
    }

    @Test func `When the owner ends, calls wait for the next owner and lost updates are reported as a gap`()
        async throws
    {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        let account = RemoteAccount(work.place().socketPath, schema: try AtWork.schema.get())
        try await running(account.run) {
            // There is no owner yet.
            async let early = account.me()
            let events = try await Self.whileShared(work) { _ in
                try await account.start()
                let events = try await account.events()
                _ = try await account.me()
                return events
            }
            #expect(try await early == MTProtoEmulator.alice)
            async let between = account.me()
            try await Self.whileShared(work) { _ in
                for try await event in events {
                    if case .gap = event { break }
                }
                // The one before was sent first.
                _ = try await account.me()
            }
            #expect(try await between == MTProtoEmulator.alice)
        }
        try await work.expectNoViolations()
    }

    @Test func `A script can send lines to the owner and close its input first`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        let answers = try await Self.whileShared(work) { place in
            try await Self.script(
                place,
                [
                    #"{"id":1,"method":"help.getNearestDc","params":{}}"#, "no JSON", #"{"id":2}"#,
                    #"{"id":3,"method":"help.getNearestDc","params":{"wrong":1}}"#, #"{"id":4,"status":true}"#,
                    #"{"id":5,"method":"nothing.atAll"}"#, #"{"id":6,"cancel":99}"#, #"{"id":7,"events":true}"#,
                ])
        }
        func answer(_ id: Int64) -> JSON? { answers.first { $0["id"]?.int == id && $0["event"] == nil } }
        #expect(answer(1)?["result"]?["this_dc"]?.int == 2)
        #expect(answers.contains { $0["id"] == nil && $0["error"]?["name"] == "socket_protocol" })
        #expect(answer(2)?["error"]?["kind"] == "client")
        #expect(answer(3)?["error"]?["path"] == "$.wrong")
        #expect(answer(3)?["error"]?["exit"]?.int == 65)
        #expect(answer(4)?["result"]?["user_id"]?.int == MTProtoEmulator.alice)
        #expect(answer(5)?["error"]?["kind"] == "tl")
        #expect(answer(6)?["result"] == false)
        #expect(answer(7)?["result"] == true)
    }

    /// Sends lines, ends the input, and takes all that comes.
    static func script(_ place: NamedSession, _ lines: [String]) async throws -> [JSON] {
        let path = place.socketPath
        return try await BlockingThread().run {
            let socket = try UnixSocket(path)
            socket.send(Array((lines.joined(separator: "\n") + "\n").utf8))
            socket.endInput()
            return try String(decoding: socket.readAll(), as: UTF8.self).split(separator: "\n").map {
                try JSON(parsing: String($0))
            }
        }
    }

    @Test func `A call is cancelled when its client disconnects`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        try await work.emulator.control("fault", ["method": "help.getNearestDc", "kind": "hang", "times": 1])
        try await Self.whileShared(work) { place in
            let path = place.socketPath
            try await BlockingThread().run {
                let socket = try UnixSocket(path)
                socket.send(Array(#"{"id":1,"method":"help.getNearestDc"}"#.utf8) + [10])
                // The owner has it.
                usleep(200_000)
                socket.close()
            }
        }
        // The owner has ended: it did not wait a minute for the answer.
        #expect(!work.place().isShared)
    }

    @Test func `A client that does not read does not delay others`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        try await Self.whileShared(work) { place in
            let path = place.socketPath
            let idle = try await BlockingThread().run { () -> UnixSocket in
                let socket = try UnixSocket(path)
                let requests = (0..<100).map { #"{"id":\#($0),"method":"help.getConfig"}"# }
                socket.send(Array((requests.joined(separator: "\n") + "\n").utf8))
                return socket
            }
            try await Self.remotely(place) { account async throws in
                #expect(try await account.me() == MTProtoEmulator.alice)
            }
            idle.close()
        }
    }

    @Test func `A request over the limit for a line is refused before it is sent`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        try await Self.whileShared(work) { place in
            try await Self.remotely(place) { account async throws in
                let long: JSONObject = ["username": .string(String(repeating: "a", count: 8 << 20))]
                let refused = await #expect(throws: AccountError.self) {
                    try await account.call("contacts.resolveUsername", long, CallOptions())
                }
                #expect(refused?.code == .tooLarge)
                #expect(try await account.me() == MTProtoEmulator.alice)
            }
        }
    }

    @Test func `A client over the limit is refused with a reason`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        try await Self.whileShared(work) { place in
            let path = place.socketPath
            let others = try await BlockingThread().run {
                try (0..<AccountOwner.maxClients).map { _ in try UnixSocket(path) }
            }
            let turnedAway = await #expect(throws: AccountError.self) { try await Self.remotely(place) { _ in } }
            #expect(turnedAway?.code == .tooMuch)
            for other in others { other.close() }
        }
    }

    @Test func `The socket is accessible to its user only and a stale one is replaced`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        _ = try await work.logIn()
        let path = work.place().socketPath
        close(open(path, O_CREAT | O_WRONLY, 0o644))
        try await Self.whileShared(work) { place in
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            #expect(place.isShared)
        }
        #expect(access(path, F_OK) != 0)
    }

    @Test func `A session that another process holds is reported as busy with its process id`() throws {
        let folder = try TemporaryFolder()
        let path = folder("alice.lock")
        guard case .taken(let lock) = try SessionLock.attempt(path) else {
            Issue.record("the lock is not free")
            return
        }
        guard case .busy(let holder) = try SessionLock.attempt(path) else {
            Issue.record("the lock is taken twice")
            return
        }
        #expect(holder == getpid())
        #expect(SessionLock.holder(path) == getpid())
        _ = consume lock
        #expect(SessionLock.holder(path) == nil)
    }

    @Test func `Failures keep their kind across the socket`() throws {
        let errors: [any ReportableError] = [
            TelegramRPCError(code: 420, text: "FLOOD_WAIT_3"), MTProtoError(.protocolBroken, "broken"),
            AccountError(.notFound, "nobody"), AccountError(.busy, "busy"),
        ]
        for error in errors {
            let again = ErrorCoding.decode(.object(ErrorCoding.encode(error)))
            #expect(again.message == error.message)
            #expect(again.exitStatus == error.exitStatus)
            #expect(type(of: again) == type(of: error))
        }
    }
}

/// A socket of a script.
struct UnixSocket: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = descriptor
        let isThere = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isThere else { throw AccountError(.ownerGone, "nobody listens at \(path)") }
    }

    func send(_ bytes: [UInt8]) { _ = bytes.withUnsafeBytes { writeAll(descriptor, $0) } }

    func endInput() { shutdown(descriptor, Int32(SHUT_WR)) }

    func readAll() -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count <= 0 { break }
            all += buffer.prefix(count)
        }
        close()
        return all
    }

    func close() { Glibc.close(descriptor) }
}
