import Glibc
package import JSON
import System

/// Describes an input or output of a stage, so that the two stages at its ends can be found.
package struct StageEndpoint: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        case queue, pipe, fifo, file, command, terminal, other
    }

    package let kind: Kind
    /// The name of a queue, the path of a FIFO or file, or the first word of a command; empty for a pipe.
    package let name: String
    /// Identifies a pipe or FIFO on its machine; both of its ends have the same.
    package let id: String?
    /// The patterns of the types that go there; empty for all.
    package var types: [String]

    package init(_ kind: Kind, _ name: String, id: String? = nil, types: [String] = []) {
        (self.kind, self.name, self.id, self.types) = (kind, name, id, types)
    }

    /// Describes an endpoint as it was written: `-`, a path, `queue:NAME` or `exec:COMMAND`.
    package init(_ text: String, isInput: Bool, types: [String] = []) {
        if text.hasPrefix("queue:") {
            self.init(.queue, String(text.dropFirst("queue:".count)), types: types)
        } else if text.hasPrefix("exec:") {
            // The arguments of a command may hold secrets.
            let word = text.dropFirst("exec:".count).split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
            self.init(.command, word, types: types)
        } else {
            self = text == "-" ? .open(isInput ? STDIN_FILENO : STDOUT_FILENO) : .path(text)
            self.types = types
        }
    }

    private static func open(_ descriptor: Int32) -> StageEndpoint {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return StageEndpoint(.other, "") }
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/fd/\(descriptor)", &path, path.count - 1)
        let text = String(decoding: path.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        if status.st_mode & S_IFMT == S_IFCHR, isatty(descriptor) == 1 { return StageEndpoint(.terminal, "") }
        return of(status, text.hasPrefix("/") && !text.hasSuffix(" (deleted)") ? text : "")
    }

    private static func path(_ path: String) -> StageEndpoint {
        var status = stat()
        let absolute = absolutePath(path)
        guard stat(path, &status) == 0 else { return StageEndpoint(.file, absolute) }
        return of(status, absolute)
    }

    private static func of(_ status: stat, _ path: String) -> StageEndpoint {
        switch status.st_mode & S_IFMT {
        case S_IFIFO:
            let id = "\(status.st_dev):\(status.st_ino)"
            return path.isEmpty ? StageEndpoint(.pipe, "", id: id) : StageEndpoint(.fifo, path, id: id)
        case S_IFREG: return StageEndpoint(.file, path)
        default: return StageEndpoint(.other, path)
        }
    }

    /// Is true if both describe the same place, whatever types go there.
    func isSamePlace(as other: StageEndpoint) -> Bool { kind == other.kind && name == other.name && id == other.id }

    package init?(_ json: JSON) {
        guard let kind = json["kind"]?.string.flatMap(Kind.init(rawValue:)) else { return nil }
        self.init(
            kind, json["name"]?.string ?? "", id: json["id"]?.string,
            types: json["types"]?.array?.compactMap(\.string) ?? [])
    }

    package var json: JSON {
        .object([
            "kind": .string(kind.rawValue), "name": name.isEmpty ? nil : .string(name), "id": id.map { .string($0) },
            "types": types.isEmpty ? nil : .array(types.map { .string($0) }),
        ])
    }
}
