import JSON
import Process
import Foundation
import TestSupport
import Testing

/// Provides the tests of ev-route with a folder, events, and readers of FIFOs.
struct RouteFixture {
    static let correlation = "0192f0c1-2345-7abc-9def-0123456789ab"

    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// An event with a number; `padding` makes it longer.
    static func event(_ type: String, _ number: Int = 0, version: Int? = nil, padding: Int = 0) -> String {
        let version = version.map { #","version":\#($0)"# } ?? ""
        let padding = String(repeating: "x", count: padding)
        return
            #"{"type":"\#(type)","correlation_id":"\#(correlation)"\#(version),"payload":{"n":\#(number),"x":"\#(padding)"}}"#
    }

    static func number(of line: String) -> Int? { (try? JSON(parsing: line))?["payload"]?["n"]?.int.map(Int.init) }

    func fifo(_ name: String) throws -> String {
        try #require(mkfifo(folder(name), 0o600) == 0)
        return folder(name)
    }

    func text(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: folder(name)) ?? Data(), as: UTF8.self)
    }

    func lines(_ name: String) -> [String] { text(name).split(separator: "\n").map(String.init) }

    /// The numbers of the events in a file, in their order.
    func numbers(_ name: String) -> [Int] { lines(name).compactMap { Self.number(of: $0) } }

    /// Starts a process that appends what is in a FIFO to a file.
    func reader(of fifo: String, into name: String) throws -> ChildProcess {
        try ChildProcess(Command("/bin/sh", ["-c", #"exec cat < "$0" >> "$1""#, fifo, folder(name)]))
    }

    func route(_ arguments: [String], _ input: String, deadline: Duration = .seconds(60)) async throws -> ToolRun.Result
    {
        try await ToolRun.run("ev-route", arguments, input: input, deadline: deadline)
    }
}
