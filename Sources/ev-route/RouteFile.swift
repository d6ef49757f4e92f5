import Config
import Envelope
import Stage

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
    let deadLetter: String?

    /// - Throws: `ConfigError` (78) that names the line.
    init(path: String) throws(ConfigError) {
        let top = try ConfigFile.table(path: path)
        try top.check(known: ["dead_letter", "route"])
        deadLetter = try top.string("dead_letter")
        for (index, table) in try top.tables("route").enumerated() {
            routes.append(try RouteFile.route(table, number: index + 1))
        }
    }

    private static func route(_ table: ConfigTable, number: Int) throws(ConfigError) -> Route {
        try table.check(known: ["name", "match", "version", "to"])
        guard let patterns = try table.strings("match", "a pattern or a list of patterns") else {
            throw table.fault("route \(number) has no match")
        }
        guard let target = try table.string("to") else { throw table.fault("route \(number) has no to") }
        let version = try table.value("version", "a whole number from 1") { value in
            value.integer.flatMap { $0 >= 1 ? Int(exactly: $0) : nil }
        }
        let name = try table.string("name")
        return Route(
            name: name ?? patterns.joined(separator: ","),
            patterns: try table.read("match") { () throws(StageError) in try patterns.map(Route.pattern) },
            version: version, target: try table.read("to") { () throws(StageError) in try Target(target) })
    }
}

extension ConfigTable {
    /// Gives what is wrong with a key's value its place.
    func read<Value>(_ key: String, _ body: () throws(StageError) -> Value) throws(ConfigError) -> Value {
        do throws(StageError) { return try body() } catch { throw fault(of: key, error.message) }
    }
}
