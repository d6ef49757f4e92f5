import Foundation
import JSON
import MTProto
import System
import TL
import TestSupport
import Testing

@testable import Accounts

/// Tests of uploads to the emulator and downloads from it.
@Suite(.serialized) struct TransferTests {
    /// A file with content that does not repeat.
    static func makeFile(_ path: String, bytes: Int) throws -> Data {
        var content = Data(count: bytes)
        content.withUnsafeMutableBytes { buffer in
            var state: UInt64 = 0x9E37_79B9_7F4A_7C15 &+ UInt64(bytes)
            for place in buffer.indices {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                buffer[place] = UInt8(truncatingIfNeeded: state >> 33)
            }
        }
        try content.write(to: URL(fileURLWithPath: path))
        return content
    }

    /// Sends an uploaded file to Saved Messages.
    ///
    /// - Returns: the file as the message has it.
    static func send(_ file: JSON, _ account: DirectAccount) async throws -> AccountFileID {
        let media: JSON = .object([
            "_": "inputMediaUploadedDocument", "file": file, "mime_type": "application/octet-stream",
            "attributes": .array([.object(["_": "documentAttributeFilename", "file_name": "a.bin"])]),
            "force_file": true,
        ])
        let answer = try await account.call(
            "messages.sendMedia",
            [
                "peer": .object(["_": "inputPeerSelf"]), "media": media, "message": "",
                "random_id": .integer(Int64.random(in: 1...Int64.max)),
            ], CallOptions()
        ).json()
        let message = answer["updates"]?.array?.lazy.compactMap { $0["message"] }.first
        let origin = MessageOrigin(chatID: MTProtoEmulator.alice, messageID: message?["id"]?.int ?? 0)
        let files = AccountFileID.files(of: message?["media"] ?? .null, origin: origin)
        return try #require(files.first as AccountFileID?)
    }

    /// A file that the emulator keeps in a data centre.
    static func keep(
        _ content: Data, _ emulator: MTProtoEmulator, _ account: DirectAccount, _ folder: TemporaryFolder
    ) async throws -> AccountFileID {
        let path = folder("source-\(content.count)")
        try content.write(to: URL(fileURLWithPath: path))
        return try await send(try await account.upload(path, key: "keep \(content.count)") { _ in }, account)
    }

    @Test(arguments: [1, 253, 1 << 19, (1 << 19) + 1, 10 << 20, (10 << 20) + 1, 13_000_001])
    func `A downloaded file equals the uploaded one`(_ bytes: Int) async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            let content = try Self.makeFile(work.folder("file"), bytes: bytes)
            let (sent, got) = (Told(), Told())
            let file = try await account.upload(work.folder("file"), key: "one") { sent.add("\($0)") }
            #expect(file["_"]?.string == (bytes > 10 << 20 ? "inputFileBig" : "inputFile"))
            #expect(sent.words.compactMap { Int($0) }.max() == bytes)
            let stored = try await Self.send(file, account)
            #expect(stored.sizeBytes == Int64(bytes))
            try await account.download(stored.remoteFile, to: work.folder("copy")) { got.add("\($0)") }
            #expect(try Data(contentsOf: URL(fileURLWithPath: work.folder("copy"))) == content)
            #expect(got.words.compactMap { Int($0) }.max() == bytes)
            #expect(!FileManager.default.fileExists(atPath: work.folder("copy.part")))
            #expect(!FileManager.default.fileExists(atPath: work.folder("copy.part.map")))
            var unknown = stored.remoteFile
            unknown.sizeBytes = nil
            try await account.download(unknown, to: work.folder("again")) { _ in }
            #expect(try Data(contentsOf: URL(fileURLWithPath: work.folder("again"))) == content)
        }
        try await work.expectNoViolations()
    }

    @Test func `Confirmed parts are not sent again, and lost parts are`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            _ = try Self.makeFile(work.folder("file"), bytes: 12_000_000)
            try await emulator.control(
                "fault",
                ["method": "upload.saveBigFilePart", "kind": "error", "error": "FILE_PART_INVALID", "times": 40])
            await #expect(throws: TelegramRPCError.self) {
                _ = try await account.upload(work.folder("file"), key: "one") { _ in }
            }
            try await emulator.server.call("DELETE", "/control/mtproto/fault")
            _ = try await account.upload(work.folder("file"), key: "one") { _ in }
            let before = try await emulator.calls("upload.saveBigFilePart").count
            let file = try await account.upload(work.folder("file"), key: "one") { _ in }
            #expect(try await emulator.calls("upload.saveBigFilePart").count == before)
            try await emulator.control("lose_parts", ["parts": [2, 5]])
            _ = try await Self.send(file, account)
            #expect(try await emulator.calls("upload.saveBigFilePart").count == before + 2)
        }
        try await work.expectNoViolations()
    }

    @Test func `After repeated failures of Telegram at a file, it is uploaded anew`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            _ = try Self.makeFile(work.folder("file"), bytes: 11_000_000)
            let first = try await account.upload(work.folder("file"), key: "one") { _ in }
            try await emulator.control(
                "fault",
                ["method": "messages.sendMedia", "kind": "error", "error": "INTERNAL", "code": 500, "times": 20])
            await #expect(throws: TelegramRPCError.self) { _ = try await Self.send(first, account) }
            try await emulator.server.call("DELETE", "/control/mtproto/fault")
            let before = try await emulator.calls("upload.saveBigFilePart").count
            let second = try await account.upload(work.folder("file"), key: "one") { _ in }
            #expect(second["id"] != first["id"])
            #expect(try await emulator.calls("upload.saveBigFilePart").count > before)
            #expect(try await Self.send(second, account).sizeBytes == 11_000_000)
        }
    }

    @Test func `When all parts are lost, all are sent again`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            _ = try Self.makeFile(work.folder("file"), bytes: 11_000_000)
            let file = try await account.upload(work.folder("file"), key: "one") { _ in }
            try await emulator.control("lose_parts")
            #expect(try await Self.send(file, account).sizeBytes == 11_000_000)
        }
        try await work.expectNoViolations()
    }

    @Test func `An interrupted upload sends only the missing parts`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        _ = try Self.makeFile(work.folder("file"), bytes: 20 << 20)
        try await work.whileAlice { account in
            let reached = Told()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await account.upload(work.folder("file"), key: "one") { reached.add("\($0)") } }
                let isUnderWay = try await eventually { reached.words.count >= 10 }
                #expect(isUnderWay)
                group.cancelAll()
                try? await group.waitForAll()
            }
        }
        let before = try await emulator.calls("upload.saveBigFilePart").count
        #expect(before < 40)
        // Another process, with the same session.
        let client = try work.client()
        try await client.whileRunning {
            _ = try await Self.send(try await client.upload(work.folder("file"), key: "one") { _ in }, client)
        }
        let parts = try await emulator.calls("upload.saveBigFilePart").filter { $0["outcome"]?.string != "error" }
        #expect(parts.count < 40 + 10)
        try await work.expectNoViolations()
    }

    @Test func `A changed file is uploaded from the beginning`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            _ = try Self.makeFile(work.folder("file"), bytes: 1 << 20)
            let first = try await account.upload(work.folder("file"), key: "one") { _ in }
            let content = try Self.makeFile(work.folder("file"), bytes: (1 << 20) + 5)
            let second = try await account.upload(work.folder("file"), key: "one") { _ in }
            #expect(first["id"] != second["id"])
            #expect(try await Self.send(second, account).sizeBytes == Int64(content.count))
        }
    }

    @Test func `A file that cannot be uploaded is refused with the reason`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            try Data().write(to: URL(fileURLWithPath: work.folder("empty")))
            try Data([0]).write(to: URL(fileURLWithPath: work.folder("huge")))
            truncate(work.folder("huge"), 2_097_152_001)
            for (name, code) in [
                ("empty", AccountError.Code.emptyFile), ("huge", .tooLarge), ("absent", .localIO), ("", .localIO),
            ] {
                let error = await #expect(throws: AccountError.self) {
                    _ = try await account.upload(work.folder(name), key: name) { _ in }
                }
                #expect(error?.code == code)
            }
        }
        #expect(try await emulator.calls("upload.saveBigFilePart").isEmpty)
    }

    @Test func `CDN parts are decrypted, re-uploaded on request and verified`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            let content = try Self.makeFile(work.folder("file"), bytes: 3_333_333)
            let file = try await Self.keep(content, emulator, account, work.folder)
            try await emulator.control("habits", ["cdn": "always", "cdn_reupload": 2])
            try await account.download(file.remoteFile, to: work.folder("copy")) { _ in }
            #expect(try Data(contentsOf: URL(fileURLWithPath: work.folder("copy"))) == content)
            #expect(try await !emulator.calls("upload.getCdnFile").isEmpty)
            try await emulator.control("habits", ["cdn": "always", "cdn_tamper": 1])
            let error = await #expect(throws: MTProtoError.self) {
                try await account.download(file.remoteFile, to: work.folder("tampered")) { _ in }
            }
            #expect(error?.exitStatus == .protocolBroken)
            #expect(!FileManager.default.fileExists(atPath: work.folder("tampered")))
            // Only what was altered is not there; the next attempt is whole.
            try await account.download(file.remoteFile, to: work.folder("tampered")) { _ in }
            #expect(try Data(contentsOf: URL(fileURLWithPath: work.folder("tampered"))) == content)
        }
        try await work.expectNoViolations()
    }

    @Test func `An expired file reference is renewed from the message`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            let content = try Self.makeFile(work.folder("file"), bytes: 2_000_000)
            let file = try await Self.keep(content, emulator, account, work.folder)
            try await emulator.control("expire")
            try await account.download(file.remoteFile, to: work.folder("copy")) { _ in }
            #expect(try Data(contentsOf: URL(fileURLWithPath: work.folder("copy"))) == content)
            #expect(try await emulator.calls("messages.getMessages").count == 1)
            try await emulator.control("expire")
            var lost = file.remoteFile
            lost.origin = nil
            let (path, orphan) = (work.folder("lost"), lost)
            let error = await #expect(throws: AccountError.self) {
                try await account.download(orphan, to: path) { _ in }
            }
            #expect(error?.code == .referenceLost)
        }
        try await work.expectNoViolations()
    }

    @Test func `A file is downloaded from its data centre`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            let content = try Self.makeFile(work.folder("file"), bytes: 4_000_000)
            var file = try await Self.keep(content, emulator, account, work.folder)
            file.dataCenter = 3
            let moved = file.remoteFile
            try await account.download(moved, to: work.folder("copy")) { _ in }
            #expect(try Data(contentsOf: URL(fileURLWithPath: work.folder("copy"))) == content)
        }
        try await work.expectNoViolations()
    }

    @Test func `Repeatedly broken connections only cost time`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            let content = try Self.makeFile(work.folder("file"), bytes: 12_000_000)
            try await emulator.control("habits", ["drop_every_bytes": 3_000_000])
            let file = try await Self.keep(content, emulator, account, work.folder)
            try await account.download(file.remoteFile, to: work.folder("copy")) { _ in }
            #expect(try Data(contentsOf: URL(fileURLWithPath: work.folder("copy"))) == content)
        }
        try await work.expectNoViolations()
    }

    @Test func `An interrupted download requests only the missing parts`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            let content = try Self.makeFile(work.folder("file"), bytes: 20 << 20)
            let file = try await Self.keep(content, emulator, account, work.folder)
            let reached = Told()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await account.download(file.remoteFile, to: work.folder("copy")) { reached.add("\($0)") }
                }
                let isUnderWay = try await eventually { reached.words.count >= 10 }
                #expect(isUnderWay)
                group.cancelAll()
                try? await group.waitForAll()
            }
            #expect(!FileManager.default.fileExists(atPath: work.folder("copy")))
            let before = try await emulator.calls("upload.getFile").count
            let begin = Told()
            try await account.download(file.remoteFile, to: work.folder("copy")) { begin.add("\($0)") }
            #expect(try Data(contentsOf: URL(fileURLWithPath: work.folder("copy"))) == content)
            #expect(try await emulator.calls("upload.getFile").count - before <= 30)
            #expect(begin.words.compactMap { Int($0) }.min() ?? 0 > 5 << 20)
        }
        try await work.expectNoViolations()
    }

    @Test func `A flood wait for a part is observed`() async throws {
        let emulator = try await MTProtoEmulator()
        let work = try AtWork(emulator)
        try await work.whileAlice { account in
            let content = try Self.makeFile(work.folder("file"), bytes: 3_000_000)
            try await emulator.control(
                "fault",
                ["method": "upload.saveFilePart", "kind": "error", "error": "FLOOD_PREMIUM_WAIT_1", "times": 2])
            let file = try await Self.keep(content, emulator, account, work.folder)
            #expect(file.sizeBytes == 3_000_000)
        }
        try await work.expectNoViolations()
    }
}
