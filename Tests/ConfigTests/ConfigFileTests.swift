import Config
import Foundation
import TestSupport
import Testing

@Suite struct ConfigFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func table(_ text: String) throws -> ConfigTable {
        try text.write(toFile: folder("a.toml"), atomically: false, encoding: .utf8)
        return try ConfigFile.table(path: folder("a.toml"))
    }

    @Test func `Values keep their type and line number`() throws {
        let top = try table(
            """
            text = "räksmörgås"
            number = 5
            list = ["a", "b"]
            isOn = true

            [[item]]
            name = "first"

            [[item]]
            name = "second"
            """)
        #expect(try top.string("text") == "räksmörgås")
        #expect(top["number"]?.integer == 5 && top["number"]?.line == 2)
        #expect(try top.strings("list", "a list") == ["a", "b"])
        #expect(top["isOn"]?.bool == true)
        #expect(try top.string("absent") == nil)
        let items = try top.tables("item")
        #expect(try items.map { try $0.string("name") } == ["first", "second"])
        #expect(items.map(\.line) == [6, 9])
    }

    @Test func `Mistakes are reported with file and line`() throws {
        let top = try table("a = 1\n\nb = \"\"\nc = [1]\n")
        #expect(throws: ConfigError("\(folder("a.toml")):3: b is a text")) { try top.string("b") }
        #expect(throws: ConfigError("\(folder("a.toml")):4: c is a list of texts")) {
            try top.strings("c", "a list of texts")
        }
        #expect(throws: ConfigError("\(folder("a.toml")):1: unknown key \"a\"; known are b, c")) {
            try top.check(known: ["b", "c"])
        }
        #expect(throws: ConfigError("\(folder("a.toml")):4: c is a list of tables: write [[c]]")) {
            try top.tables("c")
        }
        #expect { try table("a = 1\nb = \n") } throws: { "\($0)".contains("a.toml:2: ") }
    }

    @Test(arguments: [
        "x = " + String(repeating: "[", count: 100_000), String(repeating: "a.", count: 100_000) + "b = 1",
    ])
    func `Too deep nesting is refused`(_ text: String) throws {
        #expect { try table(text) } throws: { "\($0)".contains("nested too deeply") }
    }

    @Test func `A file that is not UTF-8 text is refused`() throws {
        try Data([0xFF, 0xFE]).write(to: URL(fileURLWithPath: folder("a.toml")))
        #expect { try ConfigFile.table(path: folder("a.toml")) } throws: { "\($0)".contains("is not text") }
        #expect { try ConfigFile.table(path: folder("b.toml")) } throws: { "\($0)".contains("unable to read") }
    }
}
