/// Holds the facts about a server of Redis (`INFO`) that tools and users need.
package struct RedisFacts: Sendable {
    /// A setting with which Redis may lose queued events.
    package struct Risk: Sendable, Equatable {
        /// One line without a full stop.
        package let message: String
        /// The mend that the user can make, in one line without a full stop.
        package let advice: String
        /// Is true if events may be lost without a crash.
        package let isSevere: Bool
    }

    private let values: [String: String]

    /// - Parameter info: the answer to `INFO`.
    package init(info: String) {
        let pairs = info.utf8.split(whereSeparator: { $0 == 10 || $0 == 13 }).compactMap { line -> (String, String)? in
            let words = line.split(separator: UInt8(ascii: ":"), maxSplits: 1)
            guard words.count == 2 else { return nil }
            return (String(decoding: words[0], as: UTF8.self), String(decoding: words[1], as: UTF8.self))
        }
        values = Dictionary(pairs, uniquingKeysWith: { $1 })
    }

    /// The server's version, such as `7.0.15`; `unknown` if it tells none.
    package var version: String { values["redis_version"] ?? "unknown" }

    /// Returns whether the server is known to be older than a version.
    package func isOlder(than major: Int, _ minor: Int) -> Bool {
        let numbers = version.split(separator: ".").map { Int($0) ?? Int.max }
        guard numbers.count >= 2 else { return false }
        return (numbers[0], numbers[1]) < (major, minor)
    }

    /// Returns the risks of several servers, each once.
    package static func risks(of servers: [RedisFacts]) -> [Risk] {
        servers.flatMap(\.risks).reduce(into: []) { risks, risk in
            if !risks.contains(risk) { risks.append(risk) }
        }
    }

    package var risks: [Risk] {
        var risks: [Risk] = []
        if let policy = values["maxmemory_policy"], policy != "noeviction" {
            risks.append(
                Risk(
                    message: "Redis may evict queues when its memory is full: its maxmemory-policy is \(policy)",
                    advice: "set it to noeviction", isSevere: true))
        }
        if values["aof_enabled"] == "0" {
            risks.append(
                Risk(
                    message: "Redis keeps no append-only file: queued events do not survive its crash",
                    advice: "set appendonly yes", isSevere: false))
        }
        return risks
    }
}
