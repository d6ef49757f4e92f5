import Foundation
import JSON
import MTProto
import System
import TestSupport
import Testing

@testable import Accounts

/// Tests with sessions that Telethon and Kurigram created.
@Suite struct ImportTests {
    static let digits = (0..<256).map { String(format: "%02x", ($0 * 7 + 1) & 255) }.joined()
    static let key = AuthKey((0..<256).map { UInt8(($0 * 7 + 1) & 255) })

    static func python(_ arguments: String...) throws -> JSON {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "\(try PythonTools.binFolder())/python")
        process.arguments = ["-B", "\(testFolder)/AccountsTests/sessions_of_others.py"] + arguments
        let pipe = Foundation.Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return try JSON(parsing: Array(output))
    }

    @Test func `Session files and strings of other clients are imported`() throws {
        let folder = try TemporaryFolder()
        let strings = try Self.python(folder.path, Self.digits)
        let key = try #require(Self.key)
        let telethon = AccountSession(dataCenter: 4, key: key, address: ServerAddress("149.154.167.91", 443))
        let six = AccountSession(dataCenter: 4, key: key, address: ServerAddress("2001:67c:4e8:f004::a", 443))
        let pyrogram = AccountSession(dataCenter: 1, key: key, userID: 5_000_000_042, isBot: true)
        #expect(try AccountSession(database: folder("telethon.session")) == telethon)
        #expect(try AccountSession(string: strings["telethon"]?.string ?? "") == telethon)
        #expect(try AccountSession(string: strings["telethon6"]?.string ?? "") == six)
        #expect(try AccountSession(string: " \(strings["pyrogram"]?.string ?? "")\n") == pyrogram)
        let file = try AccountSession(database: folder("pyrogram.session"))
        #expect(file.key == key && file.dataCenter == 1 && file.userID == 5_000_000_042 && file.isBot)
        #expect(file.addresses[1] == ServerAddress("149.154.175.53", 443))
    }

    @Test func `Other clients accept an exported session`() throws {
        let key = try #require(Self.key)
        let session = AccountSession(dataCenter: 4, key: key, userID: 42)
        let telethon = try Self.python("read", "telethon", session.telethonString ?? "")
        #expect(telethon["dc"] == 4 && telethon["host"] == "149.154.167.91" && telethon["port"] == 443)
        #expect(telethon["key"]?.string == Self.digits)
        let pyrogram = try Self.python("read", "pyrogram", session.pyrogramString(apiID: 12345) ?? "")
        #expect(pyrogram["dc"] == 4 && pyrogram["user_id"] == 42 && pyrogram["api_id"] == 12345)
        #expect(pyrogram["bot"] == false && pyrogram["key"]?.string == Self.digits)
    }

    @Test func `A session whose numbers do not fit a string is not exported`() throws {
        let key = try #require(AuthKey([UInt8](repeating: 7, count: 256)))
        let session = AccountSession(dataCenter: 300, key: key, address: ServerAddress("127.0.0.1", 443), userID: 42)
        #expect(session.telethonString == nil)
        #expect(session.pyrogramString(apiID: 1) == nil)
    }

    @Test func `Text that is not a session is refused without repeating it`() throws {
        let folder = try TemporaryFolder()
        let path = folder("x.session")
        for text in ["", "SQLite format 3\0 and then nothing", "{}", String(repeating: "secret", count: 1000)] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            let failure = #expect(throws: AccountError.self) { try AccountSession(database: path) }
            #expect(failure?.code == .notImportable)
            #expect(failure?.message.contains("secret") == false)
        }
        #expect(throws: AccountError.self) { try AccountSession(database: folder("none")) }
        let empty =
            "1"
            + Base64.encodeForURLs(
                [2] + [149, 154, 167, 51, 1, 187] + [UInt8](repeating: 0, count: 256), isPadded: true)
        for string in [
            "", "1", "secret", empty, String(repeating: "A", count: 362), String(repeating: "_", count: 353),
        ] {
            let failure = #expect(throws: AccountError.self) { try AccountSession(string: string) }
            #expect(failure?.exitStatus.rawValue == 65)
        }
    }
}
