import ArgumentParser
import Glibc
import JSON
import TL

/// The options that look names up in the schema, without a session.
struct LookupOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "Print the names of the methods that contain the text or match the pattern: history, 'channels.*'.",
            valueName: "pattern"))
    var list: String?

    @Flag(help: "With --list: print constructors as well.") var constructors = false

    @Flag(name: [.customShort("l"), .long], help: "With --list: print parameters and results as well.") var long = false

    @Option(
        help: ArgumentHelp(
            "Describe a method or constructor with its parameters and result, or list the constructors of a type.",
            valueName: "name"
        ))
    var describe: String?

    @Flag(help: "With --list and --describe: print JSON.") var json = false

    var isWanted: Bool { list != nil || describe != nil }

    func validate() throws {
        if constructors || long, list == nil { throw ValidationError("--constructors and --long go with --list") }
        if json, !isWanted { throw ValidationError("--json goes with --list and --describe") }
    }

    /// Returns the text to print; empty when nothing is found.
    func text(_ schema: TLSchema) throws -> String {
        if let describe { return try description(of: describe, schema) }
        let pattern = NamePattern(list ?? "")
        let methods = schema.methodNames.filter(pattern.matches).compactMap(schema.method)
        let others =
            constructors ? schema.constructorNames.filter(pattern.matches).compactMap(schema.constructor) : []
        return (methods + others).map { found in
            json ? found.json.text + "\n" : (long ? found.line : found.name) + "\n"
        }.joined()
    }

    private func description(of name: String, _ schema: TLSchema) throws -> String {
        if let found = schema.method(name) ?? schema.constructor(name) {
            return json ? found.json.text + "\n" : SchemaSheet(schema).text(found)
        }
        // A type may be given as it appears in a parameter: Vector<User>.
        let type = name.hasPrefix("Vector<") && name.hasSuffix(">") ? String(name.dropFirst(7).dropLast()) : name
        let all = schema.constructors(of: type)
        guard !all.isEmpty else {
            let constructors = schema.constructorNames
            let types = Set(constructors.compactMap { schema.constructor($0)?.result })
            throw MethodNames(schema).unknown(name, "nothing", among: types.sorted() + constructors)
        }
        guard json else { return "\(type), one of\n" + all.map { "  \($0.line)\n" }.joined() }
        let object: JSON = .object(["name": .string(type), "kind": "type", "constructors": .array(all.map(\.json))])
        return object.text + "\n"
    }
}

/// Matches names that contain a text, or that match a pattern with `*`, `?` and `[…]`; upper and lower case are the same.
struct NamePattern {
    private let text: String
    private let isGlob: Bool

    init(_ text: String) {
        self.text = text.lowercased()
        isGlob = text.contains { "*?[".contains($0) }
    }

    func matches(_ name: String) -> Bool {
        isGlob ? fnmatch(text, name.lowercased(), 0) == 0 : text.isEmpty || name.lowercased().contains(text)
    }
}

/// Describes a method or constructor for people.
struct SchemaSheet {
    private static let peers: Set<String> = [
        "InputPeer", "InputUser", "InputChannel", "InputDialogPeer", "InputNotifyPeer",
    ]
    private let schema: TLSchema

    init(_ schema: TLSchema) { self.schema = schema }

    func text(_ found: TLDescription) -> String {
        let width = found.parameters.map(\.name.count).max() ?? 0
        let typeWidth = found.parameters.map(\.type.count).max() ?? 0
        let lines = found.parameters.map { parameter in
            let type = parameter.type + String(repeating: " ", count: typeWidth - parameter.type.count)
            let name = parameter.name + String(repeating: " ", count: width - parameter.name.count)
            let note = note(parameter)
            return note.isEmpty ? "  \(name)  \(parameter.type)\n" : "  \(name)  \(type)  \(note)\n"
        }
        let kind = found.isMethod ? "a method" : "a constructor"
        return "\(found.name), \(kind) with \(lines.isEmpty ? "no parameters" : "the parameters")\n" + lines.joined()
            + (found.isMethod ? "results in \(result(found.result))\n" : "is a \(found.result)\n")
    }

    private func note(_ parameter: TLDescription.Parameter) -> String {
        var notes: [String] = []
        if parameter.isOptional { notes.append("optional") }
        if !parameter.comesWith.isEmpty { notes.append("together with \(parameter.comesWith.joined(separator: ", "))") }
        if SchemaSheet.peers.contains(where: { parameter.type == $0 || parameter.type == "Vector<\($0)>" }) {
            notes.append("me, @name, a link, an id")
        }
        return notes.joined(separator: "; ")
    }

    private func result(_ type: String) -> String {
        let all = schema.constructors(of: type).map(\.name)
        return all.isEmpty ? type : "\(type): \(all.prefix(8).joined(separator: ", "))\(all.count > 8 ? ", …" : "")"
    }
}
