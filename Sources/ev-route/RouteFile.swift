import Envelope
import Glibc
import Stage
import TOMLKit

/// The routes of a TOML file.
///
/// ```toml
/// dead_letter = "run/dead.ndjson"
///
/// [[route]]
/// name = "media"                  # what reports call it; else its patterns
/// match = ["commands.media.#"]    # or one pattern
/// version = 1                     # of the payload; else any
/// to = "run/media.fifo"
/// ```
struct RouteFile {
    private(set) var routes: [Route] = []
    private(set) var deadLetter: String?

    private let path: String
    private let text: String

    /// - Throws: `StageError` (78) that names the line.
    init(path: String) throws(StageError) {
        self.path = path
        text = try RouteFile.contents(of: path)
        guard !RouteFile.isTooDeep(text) else { throw StageError(.configuration, "\(path): nested too deeply") }
        let table: TOMLTable
        do { table = try TOMLTable(string: text) } catch let error as TOMLParseError {
            throw StageError(.configuration, "\(path):\(error.source.begin.line): \(error.description)")
        } catch {
            throw StageError(.configuration, "\(path): \(error)")
        }
        try check(table, allowed: ["dead_letter", "route"], table: 0)
        if table["dead_letter"] != nil { deadLetter = try string(table, "dead_letter", table: 0) }
        guard let entries = table["route"] else { return }
        guard entries.type == .array, let array = entries.array else {
            throw fault("route is a list: write [[route]]", key: "route", table: 0)
        }
        for (index, entry) in array.enumerated() {
            guard let entry = entry.table else {
                throw fault("route is a list of tables: write [[route]]", key: "route", table: 0)
            }
            routes.append(try route(entry, number: index + 1))
        }
    }

    private func route(_ entry: TOMLTable, number: Int) throws(StageError) -> Route {
        try check(entry, allowed: ["name", "match", "version", "to"], table: number)
        let patterns = try patterns(entry, number)
        let name = entry["name"] == nil ? nil : try string(entry, "name", table: number)
        let target = try string(entry, "to", table: number)
        do throws(StageError) {
            return Route(
                name: name ?? patterns.joined(separator: ","), patterns: try patterns.map(Route.pattern),
                version: try version(entry, number), target: try Target(target))
        } catch {
            throw StageError(.configuration, "\(path): route \(number): \(error.message)")
        }
    }

    private func patterns(_ entry: TOMLTable, _ number: Int) throws(StageError) -> [String] {
        guard let match = entry["match"] else { throw fault("route \(number) has no match", key: nil, table: number) }
        if let one = match.string { return [one] }
        let list = match.array?.map(\.string) ?? []
        guard !list.isEmpty, !list.contains(nil) else {
            throw fault("match is a pattern or a list of patterns", key: "match", table: number)
        }
        return list.compactMap { $0 }
    }

    private func version(_ entry: TOMLTable, _ number: Int) throws(StageError) -> Int? {
        guard let value = entry["version"] else { return nil }
        guard let version = value.int, version >= 1 else {
            throw fault("version is a whole number from 1", key: "version", table: number)
        }
        return version
    }

    private func string(_ entry: TOMLTable, _ key: String, table: Int) throws(StageError) -> String {
        guard let value = entry[key] else { throw fault("route \(table) has no \(key)", key: nil, table: table) }
        guard let string = value.string, !string.isEmpty else {
            throw fault("\(key) is a text", key: key, table: table)
        }
        return string
    }

    private func check(_ entry: TOMLTable, allowed: [String], table: Int) throws(StageError) {
        for key in entry.keys where !allowed.contains(key) {
            throw fault(
                "unknown key \"\(key.printable)\"; known are \(allowed.joined(separator: ", "))", key: key, table: table
            )
        }
    }

    private func fault(_ words: String, key: String?, table: Int) -> StageError {
        let line = RouteFile.line(of: key, table: table, in: text).map { ":\($0)" } ?? ""
        return StageError(.configuration, "\(path)\(line): \(words)")
    }

    /// The line on which a key is set, or the table begins: the parser keeps no places.
    ///
    /// - Parameter table: the number of the `[[route]]`, from 1; 0 is the top of the file.
    static func line(of key: String?, table: Int, in text: String) -> Int? {
        var current = 0
        var header: Int?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.drop { $0 == " " || $0 == "\t" }
            if words.hasPrefix("[") {
                if words.hasPrefix("[[") { current += 1 }
                if current == table { header = header ?? index + 1 }
                let name = words.drop { $0 == "[" }.prefix { $0 != "]" && $0 != "." }
                if let key, name.trimmed == key, current == table || table == 0 { return index + 1 }
            } else if current == table, let key {
                let name = words.prefix { $0 != "=" && $0 != "." }
                if words.contains("="), name.trimmed == key { return index + 1 }
            }
        }
        return header
    }

    /// Whether the parser, which calls itself for every level, could run out of stack.
    private static func isTooDeep(_ text: String) -> Bool {
        var depth = 0
        var dots = 0
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(0, depth - 1)
            case UInt8(ascii: "."): dots += 1
            // A pattern has dots too, but not a line full of them.
            case UInt8(ascii: "\n"): dots = 0
            default: continue
            }
            if depth > 32 || dots > 1000 { return true }
        }
        return false
    }

    private static func contents(of path: String) throws(StageError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw StageError(.configuration, "unable to read \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= 1 << 20 {
            let count = read(descriptor, &block, block.count)
            guard count >= 0 else {
                throw StageError(.configuration, "unable to read \(path): \(String(cString: strerror(errno)))")
            }
            if count == 0 { break }
            bytes += block[..<count]
        }
        guard bytes.count <= 1 << 20 else { throw StageError(.configuration, "\(path) is larger than 1 MiB") }
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw StageError(.configuration, "\(path) is not text")
        }
        return text
    }
}

extension Substring {
    /// A key as it is meant: without the space and the quotes around it.
    fileprivate var trimmed: String {
        let space: Set<Character> = [" ", "\t", "\r"]
        var rest = drop { space.contains($0) }
        while let last = rest.last, space.contains(last) { rest.removeLast() }
        if let quote = rest.first, quote == "\"" || quote == "'", rest.count > 1, rest.last == quote {
            rest = rest.dropFirst().dropLast()
        }
        return String(rest)
    }
}
