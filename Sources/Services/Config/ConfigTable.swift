import System
/// Reads a table of a configuration file key by key. Errors name the file and the line.
package struct ConfigTable: Sendable {
    /// The line on which the table begins.
    package let line: Int
    private let path: String
    private let members: [(key: String, line: Int, value: ConfigValue)]

    init(path: String, line: Int, members: [(key: String, line: Int, value: ConfigValue)]) {
        (self.path, self.line, self.members) = (path, line, members)
    }

    /// Reads a value as a table; nil when it is not one.
    package init?(_ value: ConfigValue, in other: ConfigTable) {
        guard case .table(let members) = value.content else { return nil }
        self.init(path: other.path, line: value.line, members: members)
    }

    /// Makes a table without keys, in place of a value.
    package init(empty value: ConfigValue, in other: ConfigTable) {
        self.init(path: other.path, line: value.line, members: [])
    }

    /// The keys, in the order of the file.
    package var keys: [String] { members.sorted { $0.line < $1.line }.map(\.key) }

    package subscript(key: String) -> ConfigValue? { members.first { $0.key == key }?.value }

    /// Checks that the table has no other keys.
    ///
    /// - Throws: `ConfigError` that names the first unknown key.
    package func check(known: [String]) throws(ConfigError) {
        guard let stranger = members.filter({ !known.contains($0.key) }).min(by: { $0.line < $1.line }) else { return }
        throw fault(
            "unknown key \"\(stranger.key.printable)\"; known are \(known.joined(separator: ", "))",
            line: stranger.line)
    }

    /// Returns the value of a key.
    ///
    /// - Parameters:
    ///   - what: the expected value, for messages: "a whole number from 1".
    ///   - read: converts the value; returns nil for a value that does not fit.
    /// - Returns: nil when the key is absent.
    /// - Throws: `ConfigError` for a value that does not fit.
    package func value<Value>(
        _ key: String, _ what: String, _ read: (ConfigValue) -> Value?
    ) throws(ConfigError) -> Value? {
        guard let member = members.first(where: { $0.key == key }) else { return nil }
        guard let value = read(member.value) else { throw fault("\(key) is \(what)", line: member.line) }
        return value
    }

    /// Returns a text that is not empty; nil when the key is absent.
    package func string(_ key: String) throws(ConfigError) -> String? {
        try value(key, "a text") { value in value.string.flatMap { $0.isEmpty ? nil : $0 } }
    }

    /// Returns the texts of a key that has one text or a list, none of them empty; nil when the key is absent.
    package func strings(_ key: String, _ what: String) throws(ConfigError) -> [String]? {
        try value(key, what) { value in
            if let one = value.string { return one.isEmpty ? nil : [one] }
            let list = (value.array ?? []).map { $0.string ?? "" }
            return list.isEmpty || list.contains("") ? nil : list
        }
    }

    /// Returns a list of tables (`[[key]]`); empty when the key is absent.
    package func tables(_ key: String) throws(ConfigError) -> [ConfigTable] {
        guard let member = members.first(where: { $0.key == key }) else { return [] }
        let fault = fault("\(key) is a list of tables: write [[\(key)]]", line: member.line)
        guard let array = member.value.array else { throw fault }
        var tables: [ConfigTable] = []
        for value in array {
            guard let table = ConfigTable(value, in: self) else { throw fault }
            tables.append(table)
        }
        return tables
    }

    package func fault(_ words: String, line: Int? = nil) -> ConfigError {
        ConfigError("\(path):\(line ?? self.line): \(words)")
    }

    /// Makes an error about the value of a key.
    package func fault(of key: String, _ words: String) -> ConfigError {
        fault(words, line: members.first { $0.key == key }?.line)
    }
}
