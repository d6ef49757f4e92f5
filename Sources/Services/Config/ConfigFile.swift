import System
import CToml
import Glibc

/// Reads TOML files.
package enum ConfigFile {
    static let mostBytes = 1 << 20

    /// Reads a file.
    ///
    /// - Returns: its top table.
    /// - Throws: `ConfigError` with the line of the mistake.
    package static func table(path: String) throws(ConfigError) -> ConfigTable {
        try table(contents(of: path), path: path)
    }

    /// Reads the contents of a file.
    ///
    /// - Parameter path: the name of the file in messages.
    package static func table(_ text: [UInt8], path: String) throws(ConfigError) -> ConfigTable {
        guard !isTooDeep(text) else { throw ConfigError("\(path): nested too deeply") }
        guard
            let document = text.withUnsafeBufferPointer({ text in
                tgp_toml_parse(
                    text.baseAddress.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) }, text.count)
            })
        else { throw ConfigError("\(path): out of memory") }
        defer { tgp_toml_free(document) }
        if let fault = tgp_toml_fault(document) {
            let words = String(cString: fault).printable
            throw ConfigError("\(path):\(tgp_toml_fault_line(document)): \(words)")
        }
        var count = 0
        let tokens = tgp_toml_tokens(document, &count)
        var reader = TokenReader(tokens: UnsafeBufferPointer(start: tokens, count: count))
        guard case .table(let members) = reader.value().content else {
            return ConfigTable(path: path, line: 1, members: [])
        }
        return ConfigTable(path: path, line: 1, members: members)
    }

    /// Returns whether the parser, which calls itself for each level, could run out of stack.
    private static func isTooDeep(_ text: [UInt8]) -> Bool {
        var depth = 0
        var dots = 0
        for byte in text {
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

    private static func contents(of path: String) throws(ConfigError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { close(descriptor) }
        guard let bytes = readAll(descriptor, atMost: mostBytes + 1) else { throw unreadable(path) }
        guard bytes.count <= mostBytes else { throw ConfigError("\(path) is larger than 1 MiB") }
        guard String(validating: bytes, as: UTF8.self) != nil, !bytes.contains(0) else {
            throw ConfigError("\(path) is not text")
        }
        return bytes
    }

    private static func unreadable(_ path: String) -> ConfigError {
        ConfigError("unable to read \(path): \(String(cString: strerror(errno)))")
    }
}

private struct TokenReader {
    let tokens: UnsafeBufferPointer<tgp_toml_token>
    var index = 0

    mutating func value() -> ConfigValue {
        let token = tokens[index]
        index += 1
        let content: ConfigValue.Content =
            switch token.kind {
            case TGP_TOML_STRING: .string(TokenReader.text(token))
            case TGP_TOML_INTEGER: .integer(token.integer)
            case TGP_TOML_FLOAT: .number(token.number)
            case TGP_TOML_BOOLEAN: .bool(token.integer != 0)
            case TGP_TOML_ARRAY: .array((0..<token.count).map { _ in value() })
            case TGP_TOML_TABLE: .table((0..<token.count).map { _ in member() })
            default: .date
            }
        return ConfigValue(content: content, line: Int(token.line))
    }

    private mutating func member() -> (key: String, line: Int, value: ConfigValue) {
        let key = tokens[index]
        index += 1
        return (TokenReader.text(key), Int(key.line), value())
    }

    private static func text(_ token: tgp_toml_token) -> String {
        String(decoding: UnsafeRawBufferPointer(start: token.text, count: token.count), as: UTF8.self)
    }
}
