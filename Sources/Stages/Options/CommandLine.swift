package import ArgumentParser
import JSON
import System

/// Finds mistakes in a command line that the argument parser does not report, or reports only after others.
package struct CommandLineCheck {
    private struct Option {
        let name: String
        let takesValue: Bool
        let isRepeating: Bool
    }

    private var options: [String: Option] = [:]
    private var subcommands: [String: CommandLineCheck] = [:]

    package init(_ command: (some ParsableArguments).Type) {
        self.init((try? JSON(parsing: command._dumpHelp()))?["command"] ?? .null)
    }

    private init(_ command: JSON) {
        for argument in command["arguments"]?.array ?? [] {
            let kind = argument["kind"]?.string
            guard kind == "option" || kind == "flag" else { continue }
            let names = (argument["names"]?.array ?? []).compactMap { name in
                name["name"]?.string.map { (name["kind"] == "long" ? "--" : "-") + $0 }
            }
            guard let first = names.first else { continue }
            let option = Option(
                name: names.first { $0.hasPrefix("--") } ?? first, takesValue: kind == "option",
                isRepeating: argument["isRepeating"]?.bool ?? false)
            for name in names { options[name] = option }
        }
        for subcommand in command["subcommands"]?.array ?? [] {
            if let name = subcommand["commandName"]?.string { subcommands[name] = CommandLineCheck(subcommand) }
        }
        // Its options may come without its name.
        if let usual = command["defaultSubcommand"]?.string, let check = subcommands[usual] {
            options.merge(check.options) { own, _ in own }
        }
    }

    package enum Mistake: Equatable {
        /// No tool has such an option. The path leads to its subcommand.
        case unknownOption(String, path: [String])
        /// An option that takes one value is given twice. The parser would take the last one.
        case repeated(String)
    }

    /// Returns the long options that may be meant by an unknown one, the nearest first; none that is hardly like it.
    ///
    /// - Parameter path: the subcommand.
    package func suggestions(for name: String, path: [String] = []) -> [String] {
        guard let subcommand = path.first else {
            let names = options.keys.filter { $0.hasPrefix("--") }.map { String($0.dropFirst(2)) }.sorted()
            return SimilarNames.nearest(to: String(name.drop { $0 == "-" }), among: names).map { "--\($0)" }
        }
        return subcommands[subcommand]?.suggestions(for: name, path: Array(path.dropFirst())) ?? []
    }

    /// Joins each option with a value that begins with three dashes, as in `--text '--- done ---'`: the parser refuses such a word, which
    /// cannot be an option, before it sees that it is a value.
    package func joiningDashes(_ arguments: [String]) -> [String] {
        var joined: [String] = []
        var rest = arguments[...]
        var table = self
        while let argument = rest.popFirst() {
            joined.append(argument)
            if argument == "--" { return joined + rest }
            if let subcommand = table.subcommands[argument] { table = subcommand }
            guard let option = table.options[argument], option.takesValue, let value = rest.popFirst() else { continue }
            if value.hasPrefix("---") {
                joined[joined.count - 1] = "\(option.name)=\(value)"
            } else {
                joined.append(value)
            }
        }
        return joined
    }

    /// Returns the first mistake; an unknown option goes before others, since it makes all that follows doubtful.
    package func mistake(in arguments: [String]) -> Mistake? { mistake(in: arguments[...], path: []) }

    private func mistake(in arguments: ArraySlice<String>, path: [String]) -> Mistake? {
        var given: Set<String> = []
        var repeated: String?
        var rest = arguments
        while let argument = rest.popFirst(), argument != "--" {
            guard argument.hasPrefix("-"), argument != "-" else {
                if let subcommand = subcommands[argument] {
                    return subcommand.mistake(in: rest, path: path + [argument]) ?? repeated.map { .repeated($0) }
                }
                continue
            }
            let name = String(argument.prefix { $0 != "=" })
            guard let option = options[name] else {
                // A negative number is a value; several letters behind one sign are options of their own.
                let isLetter = argument.utf8.count == 2 && argument.last?.isLetter == true
                if argument.hasPrefix("--") || isLetter { return .unknownOption(name, path: path) }
                continue
            }
            if option.takesValue, !option.isRepeating, !given.insert(option.name).inserted {
                repeated = repeated ?? option.name
            }
            if option.takesValue, name == argument { rest = rest.dropFirst() }
        }
        return repeated.map { .repeated($0) }
    }
}
