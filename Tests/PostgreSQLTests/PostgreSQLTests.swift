import Glibc
import System
import TestSupport
import Testing

@testable import PostgreSQL

@Suite struct PostgresAddressTests {
    @Test(arguments: [
        ("postgresql://ann:secret-1@host:5432/db", "postgresql://ann@host:5432/db", true),
        ("postgres://host/db?password=secret-2&sslmode=require", "postgres://host/db?sslmode=require", true),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql", false),
        ("postgresql://ann@/db", "postgresql://ann@/db", false),
    ])
    func `An address is shown without its password`(text: String, shown: String, hasPassword: Bool) throws {
        let address = try PostgresAddress(parsing: text)
        #expect("\(address)" == shown)
        #expect(address.hasPassword == hasPassword)
        #expect(!"\(Mirror(reflecting: address).children.map { $0 })".contains("secret"))
    }

    @Test func `A password with a mark that was not encoded is refused without being shown`() throws {
        let error = #expect(throws: PostgresError.self) {
            try PostgresAddress(parsing: "postgresql://ann:my/secret@host/db")
        }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("secret") == false)
    }
}

@Suite struct PostgresErrorTests {
    @Test(arguments: [
        ("40001", PostgresError.Code.transient), ("40P01", .transient), ("53300", .transient), ("53100", .transient),
        ("57P01", .transient), ("55P03", .transient), ("08006", .transient), ("22021", .value), ("22008", .value),
        ("23514", .value), ("54000", .value), ("42501", .configuration), ("42P01", .configuration),
        ("3D000", .configuration), ("28P01", .authentication), ("XX000", .other),
    ])
    func `A state decides what can be done`(state: String, code: PostgresError.Code) {
        #expect(PostgresError.Code(state: state) == code)
    }

    @Test func `The error of a login has its state`() {
        let error = PostgresConnection.loginFailure(
            text:
                "connection to server at \"h\" failed: FATAL:  28P01: password authentication failed for user \"ann\"\n"
                + "LOCATION:  auth_failed, auth.c:329\n")
        #expect(error.code == .authentication)
        #expect(
            error.message
                == "connection to server at \"h\" failed: FATAL:  password authentication failed for user \"ann\"")
        #expect(PostgresConnection.loginFailure(text: "could not connect: Connection refused").code == .transient)
        // An address that libpq cannot read stays wrong.
        for address in [
            "postgresql://[/x", "postgresql:///x?host=a,b&port=1,2,3", "postgresql://h/x?a",
            "postgresql://h/x?user=%00",
        ] {
            let failure = #expect(throws: PostgresError.self) {
                try PostgresConnection(try PostgresAddress(parsing: address), name: "tests")
            }
            #expect(failure?.code == .configuration, "\(address): \(failure?.message ?? "")")
        }
    }
}

@Suite struct PostgresConnectionTests {
    private func connect() throws -> PostgresConnection {
        let server = try PostgresServer.shared.get()
        return try PostgresConnection(
            try PostgresAddress(parsing: server.address(try server.makeDatabase())), name: "tests")
    }

    @Test func `Values of all kinds come back`() throws {
        let connection = try connect()
        var rows: [[String]] = []
        try connection.run(
            "SELECT $1::bigint, $2::text, $3::bytea, $4::text",
            [.integer(-7), .text("ü \n"), .blob([0, 255, 16]), .null]
        ) { row in
            #expect(row.integer(0) == -7 && row.text(1) == "ü \n" && row.blob(2) == [0, 255, 16] && row.isNull(3))
            rows.append((0..<4).map { row.text($0) })
        }
        #expect(rows.count == 1)
    }

    @Test func `A NUL character is refused by the server and not cut`() throws {
        let connection = try connect()
        let error = #expect(throws: PostgresError.self) { try connection.run("SELECT $1::text", [.text("a\0b")]) }
        #expect(error?.code == .value)
        #expect(try connection.run("SELECT 1") == 1)
    }

    @Test func `Large and small values are copied in and out`() throws {
        let connection = try connect()
        try connection.execute("CREATE TABLE numbers (id bigint, text text)")
        let texts = [nil, "", "short", String(repeating: "long ", count: 60_000), "end"]
        try connection.copyIn("COPY numbers FROM STDIN (FORMAT binary)") { writer throws(PostgresError) in
            for index in 0..<1000 {
                try writer.begin(columns: 2)
                writer.integer(Int64(index))
                try writer.text(texts[index % texts.count])
            }
        }
        var sum: Int64 = 0
        try connection.copyOut("COPY (SELECT id FROM numbers) TO STDOUT (FORMAT binary)") { sum += $0.onlyInteger ?? 0 }
        #expect(sum == 499_500)
        var lengths: Set<Int64> = []
        try connection.run("SELECT length(text) FROM numbers WHERE text IS NOT NULL") { lengths.insert($0.integer(0)) }
        #expect(lengths == [0, 5, 300_000, 3])
    }

    @Test func `A failed copy leaves the connection usable`() throws {
        let connection = try connect()
        try connection.execute("CREATE TABLE numbers (id bigint CHECK (id <> 3))")
        let error = #expect(throws: PostgresError.self) {
            try connection.copyIn("COPY numbers FROM STDIN (FORMAT binary)") { writer throws(PostgresError) in
                for index in 0..<10 {
                    try writer.begin(columns: 1)
                    writer.integer(Int64(index))
                }
            }
        }
        #expect(error?.code == .value)
        #expect(!connection.isBroken)
        #expect(try connection.run("SELECT 1") == 1)
    }

    @Test func `Rows that are streamed can be given up`() throws {
        let connection = try connect()
        var count = 0
        try connection.stream("SELECT generate_series(1, 100000)") { _ in
            count += 1
            return count < 10
        }
        #expect(count == 10)
        #expect(try connection.run("SELECT 1") == 1)
    }

    @Test func `A statement can be ended from another thread`() throws {
        let connection = try connect()
        let canceller = connection.canceller
        BlockingThread.start {
            for _ in 0..<200 {
                canceller.cancel()
                usleep(50_000)
            }
        }
        let error = #expect(throws: PostgresError.self) { try connection.execute("SELECT pg_sleep(60)") }
        #expect(error?.state == "57014")
    }
}
