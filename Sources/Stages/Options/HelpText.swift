/// Orders the sections of a tool's help: what one needs first comes first.
package enum HelpText {
    /// The beginnings of section titles, in their order. Sections that are not listed stand between the options and those of
    /// all tools.
    private static let first = [
        "ARGUMENTS", "SENDING ONE MESSAGE", "STORING ONE FILE", "FETCHING LINKS", "SUBCOMMANDS", "OPTIONS",
    ]
    private static let last = ["AS AN ACCOUNT", "LOG, STATE AND REDIS", "READING FROM", "REACHING TELEGRAM"]

    /// Returns the help with its sections in another order, and with each example on a line of its own.
    ///
    /// - Parameter help: the help as ArgumentParser writes it.
    package static func ordered(_ help: String) -> String {
        let lines = withWholeExamples(help.split(separator: "\n", omittingEmptySubsequences: false))
        var (start, sections, end): ([Substring], [[Substring]], [Substring]) = ([], [], [])
        for line in lines {
            if isTitle(line) {
                sections.append([line])
            } else if sections.isEmpty {
                start.append(line)
            } else if sections[sections.count - 1].last?.isEmpty == true {
                // The reference to the help of subcommands follows the last section.
                end.append(line)
            } else {
                sections[sections.count - 1].append(line)
            }
        }
        guard sections.count > 1 else { return lines.joined(separator: "\n") }
        for index in sections.indices {
            while sections[index].last?.isEmpty == true { sections[index].removeLast() }
        }
        let ordered = sections.enumerated().sorted {
            (rank($0.element[0]), $0.offset) < (rank($1.element[0]), $1.offset)
        }
        while start.last?.isEmpty == true { start.removeLast() }
        var text = start.map { "\($0)\n" }.joined() + "\n"
        text += ordered.map { $0.element.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
        let rest = end.filter { !$0.isEmpty }
        return rest.isEmpty ? text : text + "\n" + rest.joined(separator: "\n") + "\n"
    }

    /// Returns the lines with each example on one line below their title, so that it can be copied. The parser has broken those of more
    /// than 80 columns, and begins their rest at the left margin.
    private static func withWholeExamples(_ lines: [Substring]) -> [Substring] {
        guard let start = lines.firstIndex(where: { $0.hasPrefix("Example: ") || $0.hasPrefix("Examples:") }) else {
            return lines
        }
        let end = lines[start...].firstIndex(where: \.isEmpty) ?? lines.endIndex
        let title = "\(lines[start].prefix { $0 != ":" }):"
        var examples: [String] = []
        for (number, line) in ([lines[start].dropFirst(title.count)] + lines[(start + 1)..<end]).enumerated() {
            let text = line.drop { $0 == " " }
            if text.isEmpty { continue }
            if number > 0, line.first != " ", let last = examples.popLast() {
                examples.append("\(last) \(text)")
            } else {
                examples.append(examples.last?.hasSuffix("\\") == true ? "    \(text)" : "\(text)")
            }
        }
        return lines[..<start] + [title[...]] + examples.map { "  \($0)"[...] } + lines[end...]
    }

    private static func isTitle(_ line: Substring) -> Bool {
        line.last == ":" && line.first?.isLetter == true
            && line.dropLast().allSatisfy { $0.isUppercase || " ,'-_".contains($0) }
    }

    private static func rank(_ title: Substring) -> Int {
        if let index = first.firstIndex(where: { title.hasPrefix($0) }) { return index }
        if let index = last.firstIndex(where: { title.hasPrefix($0) }) { return first.count + 1 + index }
        return first.count
    }
}
