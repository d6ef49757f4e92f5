package import JSON
import System

/// Selects the kind of data that is exported.
package enum OTLPSignal: String, Sendable, CaseIterable {
    case traces, logs
}

/// The settings of an export, from the standard variables of OpenTelemetry.
package struct OTLPSettings: Sendable {
    package enum Encoding: String, Sendable {
        case protobuf = "http/protobuf"
        case json = "http/json"

        var contentType: String { self == .json ? "application/json" : "application/x-protobuf" }
    }

    package enum Sampler: Sendable, Equatable {
        case all
        case none
        /// The share of the traces, decided by their ids, so that all programs choose the same.
        case share(Double)
    }

    package var url: String
    package var headers: [(name: String, value: String)] = []
    package var encoding = Encoding.protobuf
    package var timeout = Duration.seconds(10)
    /// Is true if requests are packed with gzip.
    package var isCompressed = false
    /// Attributes of every resource; they take precedence.
    package var attributes = JSONObject()
    package var sampler = Sampler.all
    /// Is true if a trace that began as not sampled stays so.
    package var followsParent = true
    /// Mistakes that do not prevent the export.
    package private(set) var warnings: [String] = []

    package init(url: String) { self.url = url }

    /// Reads the settings of a signal.
    ///
    /// - Parameter environment: returns a variable's value, nil for an absent or empty one.
    /// - Returns: nil if the export is turned off.
    /// - Throws: `ToolError` (78).
    package init?(_ signal: OTLPSignal, environment: (String) -> String?) throws {
        guard environment("OTEL_SDK_DISABLED")?.lowercased() != "true" else { return nil }
        let own = signal.rawValue.uppercased()
        func value(_ name: String) -> (name: String, text: String)? {
            for full in ["OTEL_EXPORTER_OTLP_\(own)_\(name)", "OTEL_EXPORTER_OTLP_\(name)"] {
                if let text = environment(full) { return (full, text) }
            }
            return nil
        }
        if let exporter = environment("OTEL_\(own)_EXPORTER") {
            switch exporter {
            case "otlp": break
            case "none": return nil
            default: throw ToolError(.configuration, "OTEL_\(own)_EXPORTER must be otlp or none")
            }
        }
        if let exact = environment("OTEL_EXPORTER_OTLP_\(own)_ENDPOINT") {
            url = exact
        } else {
            let base = environment("OTEL_EXPORTER_OTLP_ENDPOINT") ?? "http://localhost:4318"
            url = "\(base.hasSuffix("/") ? String(base.dropLast()) : base)/v1/\(signal.rawValue)"
        }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw ToolError(
                .configuration, "the endpoint of OTEL_EXPORTER_OTLP_ENDPOINT must begin with http:// or https://")
        }
        if let found = value("HEADERS") {
            headers = try OTLPSettings.pairs(found.text, found.name).map { ($0.key, $0.value) }
            for header in headers { KnownSecrets.remember(header.value) }
        }
        if let found = value("PROTOCOL") {
            guard let known = Encoding(rawValue: found.text) else {
                throw ToolError(.configuration, "\(found.name) must be http/protobuf or http/json")
            }
            encoding = known
        }
        if let found = value("TIMEOUT") {
            guard let milliseconds = Int64(found.text), (1...3_600_000).contains(milliseconds) else {
                throw ToolError(.configuration, "\(found.name) must be a number of milliseconds, at most one hour")
            }
            timeout = .milliseconds(milliseconds)
        }
        if let found = value("COMPRESSION") {
            isCompressed = found.text == "gzip"
            if !isCompressed, found.text != "none" {
                warnings.append(
                    "\(found.name)=\(found.text.printable) is neither gzip nor none: sending without compression")
            }
        }
        if let text = environment("OTEL_RESOURCE_ATTRIBUTES") {
            for (key, value) in try OTLPSettings.pairs(text, "OTEL_RESOURCE_ATTRIBUTES") {
                attributes[key] = .string(value)
            }
        }
        if let name = environment("OTEL_SERVICE_NAME") { attributes["service.name"] = .string(name) }
        try readSampler(environment)
    }

    private mutating func readSampler(_ environment: (String) -> String?) throws {
        guard var name = environment("OTEL_TRACES_SAMPLER") else { return }
        followsParent = name.hasPrefix("parentbased_")
        if followsParent { name = String(name.dropFirst("parentbased_".count)) }
        switch name {
        case "always_on": sampler = .all
        case "always_off": sampler = .none
        case "traceidratio":
            let text = environment("OTEL_TRACES_SAMPLER_ARG") ?? "1"
            guard let share = Double(text), (0...1).contains(share) else {
                throw ToolError(.configuration, "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")
            }
            sampler = .share(share)
        default: throw ToolError(.configuration, "OTEL_TRACES_SAMPLER=\(name.printable) is not supported")
        }
    }

    /// Reads `key=value,key=value`, percent-encoded.
    private static func pairs(_ text: String, _ name: String) throws -> [(key: String, value: String)] {
        try text.split(separator: ",").map { pair in
            let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = words[0].filter { $0 != " " }
            guard words.count == 2, !key.isEmpty else {
                throw ToolError(.configuration, "\(name) must have the form key=value,key=value")
            }
            let value = String(decoding: percentDecodedBytes(String(words[1])), as: UTF8.self)
            return (key, String(value.drop { $0 == " " }))
        }
    }

    /// Returns whether a trace is exported. The 56 lowest bits of a trace id are random, also those of a UUID.
    package func samples(lowBits: UInt64, parentIsSampled: Bool) -> Bool {
        if followsParent, !parentIsSampled { return false }
        switch sampler {
        case .all: return true
        case .none: return false
        case .share(let share): return Double(lowBits & 0xFF_FFFF_FFFF_FFFF) < share * 72_057_594_037_927_936
        }
    }
}
