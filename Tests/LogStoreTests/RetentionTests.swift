import Foundation
import JSON
import TestSupport
import Testing

@testable import LogStore

@Suite struct RetentionTests {
    private let folder: TemporaryFolder
    private let store: StoreFolder

    init() throws {
        folder = try TemporaryFolder()
        store = StoreFolder(folder.path)
    }

    private func add(_ count: Int, to writer: LogWriter) throws {
        let line = Array(#"{"time":"2026-01-31T12:00:00.000000Z","level":"info","tool":"a","message":"m"}"#.utf8)
        let bytes = line + [UInt8](repeating: 0, count: JSONParser.paddingBytes)
        try bytes.withUnsafeBytes { all in
            for _ in 0..<count { try writer.add(UnsafeRawBufferPointer(rebasing: all[..<line.count]), tool: "a") }
        }
        try writer.commit()
    }

    /// Gives a segment the name and the time of modification that it would have if it had been made and last written to earlier.
    private func age(_ file: StoreFolder.File, days: Int64) throws {
        let made = try #require(file.madeMicroseconds) - days * 86_400 * 1_000_000
        let rest = file.name.drop { $0 != "-" }
        let digits = String(made, radix: 16)
        let name = String(repeating: "0", count: 14 - digits.count) + digits + rest
        let path = "\(store.path)/\(name).sqlite"
        try FileManager.default.moveItem(atPath: file.path, toPath: path)
        let time = Date(timeIntervalSinceNow: -Double(days) * 86_400)
        try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: path)
    }

    /// Runs a writer for some lines, and makes it look as if that had been days ago.
    private func write(_ count: Int, days: Int64) throws {
        do {
            let writer = try LogWriter(store, kind: "run")
            try add(count, to: writer)
            try writer.close()
        }
        try age(try #require(store.files().last), days: days)
    }

    @Test func `A segment is full after a day, although each writer was there for less`() throws {
        try write(1, days: 2)
        let second = try LogWriter(store, kind: "run")
        #expect(store.files().count == 1)
        try add(1, to: second)
        #expect(store.files().count == 2)
        try add(1, to: second)
        #expect(store.files().count == 2)
    }

    @Test func `Lines do not outlive their time because nothing new comes`() throws {
        try write(1, days: 15)
        let old = store.files()
        let second = try LogWriter(store, kind: "run")
        #expect(store.files() == old)
        try second.tidy()
        #expect(store.files().count == 1 && store.files() != old)
    }

    @Test func `A segment without lines is not replaced`() throws {
        try write(0, days: 15)
        let old = store.files()
        let second = try LogWriter(store, kind: "run")
        try second.tidy()
        #expect(store.files() == old)
    }
}
