/// Parses the text of a schema, as Telegram and its clients publish it, into a builder in one pass.
///
/// It covers the part of the language that the published schemas use. Source: https://core.telegram.org/mtproto/TL
struct SchemaParser {
    /// Types that the codec handles without a schema; some schemas define them, in special syntax.
    private static let builtIn: Set<String> = [
        "int", "long", "double", "string", "bytes", "int128", "int256", "vector", "boolTrue", "boolFalse", "object",
    ]
    private static let maxTypeDepth = 8

    private let text: UnsafeRawBufferPointer
    private var at = 0
    private var isInMethods = false
    /// The `X` of `{X:Type}`.
    private var variable: UnsafeRawBufferPointer?
    /// The layer's number from a comment: `// LAYER 229`.
    private(set) var layer: Int?

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    mutating func parse(into builder: inout SchemaBuilder) throws(TLError) {
        while try skipToStatement() {
            let name = word()
            guard !name.isEmpty else { throw error("a name is expected") }
            if SchemaParser.builtIn.contains(String(decoding: name, as: UTF8.self)) {
                skip(through: ";")
            } else {
                try combinator(name, into: &builder)
            }
        }
    }

    private mutating func combinator(
        _ name: UnsafeRawBufferPointer, into builder: inout SchemaBuilder
    ) throws(TLError) {
        let line = at
        guard name.count <= SchemaLimit.nameBytes, take("#"), let id = hexadecimal() else {
            throw error("\(String(decoding: name.prefix(80), as: UTF8.self)) has no id")
        }
        variable = nil
        builder.begin()
        while skipBlanks(), !take("=") {
            if take("{") {
                variable = word()
                skip(through: "}")
            } else {
                try field(into: &builder)
            }
        }
        skipBlanks()
        let result = try type(in: &builder)
        skipBlanks()
        guard take(";") else { throw error("';' is expected") }
        do throws(TLError) {
            try builder.end(name: name, id: id, result: result, isMethod: isInMethods)
        } catch {
            throw self.error(error.reason, at: line)
        }
    }

    private mutating func field(into builder: inout SchemaBuilder) throws(TLError) {
        let name = word()
        guard !name.isEmpty, name.count <= SchemaLimit.nameBytes, take(":") else { throw error("a field is expected") }
        if take("#") {
            guard builder.addNumber(name) else { throw error("too many words of flags") }
            return
        }
        var flag = Field.always
        if let condition = condition() {
            guard let found = builder.flag(of: condition.word, bit: condition.bit) else {
                throw error("\(String(decoding: name, as: UTF8.self)) depends on flags that do not exist")
            }
            flag = found
        }
        let type = try type(in: &builder)
        guard builder.add(name, type, flag: flag) else { throw error("too many fields") }
    }

    /// Reads a condition such as `flags.3?`; nil, with nothing read, when there is none.
    private mutating func condition() -> (word: UnsafeRawBufferPointer, bit: UInt32)? {
        let start = at
        let all = word()
        guard take("?"), let dot = all.lastIndex(of: UInt8(ascii: ".")),
            let bit = UInt32(String(decoding: UnsafeRawBufferPointer(rebasing: all[(dot + 1)...]), as: UTF8.self))
        else {
            at = start
            return nil
        }
        return (UnsafeRawBufferPointer(rebasing: all[..<dot]), bit)
    }

    private mutating func type(in builder: inout SchemaBuilder, depth: Int = 0) throws(TLError) -> Shape {
        if take("!") {
            guard isVariable(word()) else { throw error("'!' is expected before a type variable only") }
            return Shape(wire: .method)
        }
        let isBare = take("%")
        let name = word()
        guard !name.isEmpty, depth < SchemaParser.maxTypeDepth else { throw error("a type is expected") }
        if isVariable(name) { return Shape(wire: .methodResult) }
        guard take("<") else { return builder.shape(of: name, isBare: isBare) }
        let element = try type(in: &builder, depth: depth + 1)
        guard take(">"), name.elementsEqual("Vector".utf8) || name.elementsEqual("vector".utf8) else {
            throw error("only vectors are generic")
        }
        let isBoxed = name.first == UInt8(ascii: "V") && !isBare
        return Shape(wire: isBoxed ? .vector : .bareVector, argument: builder.number(of: element))
    }

    private func isVariable(_ name: UnsafeRawBufferPointer) -> Bool { variable.map { $0.elementsEqual(name) } ?? false }
}

// MARK: Characters and words

extension SchemaParser {
    private func peek(_ ahead: Int = 0) -> UInt8 { at + ahead < text.count ? text[at + ahead] : 0 }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek() == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func word() -> UnsafeRawBufferPointer {
        let start = at
        while isWord(peek()) { at += 1 }
        return UnsafeRawBufferPointer(rebasing: text[start..<at])
    }

    private func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private mutating func hexadecimal() -> UInt32? {
        let digits = word()
        return digits.count <= 8 ? UInt32(String(decoding: digits, as: UTF8.self), radix: 16) : nil
    }

    @discardableResult
    private mutating func skipBlanks() -> Bool {
        while at < text.count, text[at] <= 0x20 { at += 1 }
        return at < text.count
    }

    private mutating func skip(through character: Unicode.Scalar) {
        while at < text.count, text[at] != UInt8(ascii: character) { at += 1 }
        at = min(at + 1, text.count)
    }

    /// Skips blanks, comments and headings; false at the end.
    private mutating func skipToStatement() throws(TLError) -> Bool {
        while skipBlanks() {
            if peek() == UInt8(ascii: "/") {
                guard peek(1) == UInt8(ascii: "/") else { throw error("a comment begins with '//'") }
                comment()
            } else if peek() == UInt8(ascii: "-") {
                let heading = line()
                isInMethods = heading.elementsEqual("---functions---".utf8)
                guard isInMethods || heading.elementsEqual("---types---".utf8) else {
                    throw error("neither ---types--- nor ---functions---")
                }
            } else {
                return true
            }
        }
        return false
    }

    private mutating func line() -> UnsafeRawBufferPointer {
        let start = at
        while at < text.count, text[at] != 0x0A, text[at] != 0x0D { at += 1 }
        return UnsafeRawBufferPointer(rebasing: text[start..<at])
    }

    private mutating func comment() {
        let words = line().split(separator: UInt8(ascii: " "), maxSplits: 3)
        guard words.count == 3, words[1].elementsEqual("LAYER".utf8) else { return }
        layer = Int(String(decoding: UnsafeRawBufferPointer(rebasing: words[2]), as: UTF8.self)) ?? layer
    }

    private func error(_ what: String, at place: Int? = nil) -> TLError {
        let line = text.prefix(place ?? at).count { $0 == 0x0A } + 1
        return TLError(.invalidSchema, "line \(line) of the schema: \(what)")
    }
}
