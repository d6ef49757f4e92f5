/// Encodes commands one behind the other in the protocol's form (RESP arrays of bulk strings).
package struct CommandBatch: Sendable {
    private(set) var bytes: [UInt8] = []
    /// The bytes added so far, for `addEncoded` of another batch.
    package var encoded: [UInt8] { bytes }
    package private(set) var count = 0

    package init() {}

    package init(_ commands: [[RedisArgument]]) {
        for command in commands { append(command) }
    }

    /// Adds one command; an empty one is skipped.
    package mutating func append(_ command: [RedisArgument]) {
        guard !command.isEmpty else { return }
        begin(arguments: command.count)
        for argument in command { add(argument) }
    }

    /// Starts a command with its first words, which another batch encoded; the rest of them follow.
    mutating func begin(encoded: [UInt8]) {
        count += 1
        bytes.append(contentsOf: encoded)
    }

    /// Starts a command; exactly `arguments` calls of `add` follow.
    package mutating func begin(arguments: Int) {
        count += 1
        bytes.append(UInt8(ascii: "*"))
        appendDecimal(Int64(arguments))
        appendLineEnd()
    }

    package mutating func add(_ argument: RedisArgument) {
        switch argument {
        case .text(let text): add(text)
        case .bytes(let value): add(value)
        case .integer(let number): add(number)
        }
    }

    package mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { addBulk($0) }
    }

    mutating func add(_ value: [UInt8]) {
        value.withUnsafeBufferPointer { addBulk($0) }
    }

    package mutating func add(_ value: ArraySlice<UInt8>) {
        value.withUnsafeBufferPointer { addBulk($0) }
    }

    /// Adds one word made of three.
    mutating func add(joining first: [UInt8], _ second: ArraySlice<UInt8>, _ third: [UInt8]) {
        addHeader(first.count + second.count + third.count)
        bytes.append(contentsOf: first)
        bytes.append(contentsOf: second)
        bytes.append(contentsOf: third)
        appendLineEnd()
    }

    mutating func reserve(bytes count: Int) { bytes.reserveCapacity(bytes.count + count) }

    package mutating func add(_ number: Int64) {
        addHeader(Self.decimalWidth(number))
        appendDecimal(number)
        appendLineEnd()
    }

    /// Adds arguments that another batch encoded.
    package mutating func addEncoded(_ encoded: [UInt8]) {
        bytes.append(contentsOf: encoded)
    }

    /// Is true unless all commands are known to write nothing.
    var mayWrite: Bool {
        !EncodedCommand.all(in: self).allSatisfy { EncodedCommand.reading.contains($0.name) }
    }

    /// Adds whole commands that another batch encoded.
    mutating func append(encoded commands: ArraySlice<UInt8>, count: Int) {
        bytes.append(contentsOf: commands)
        self.count += count
    }

    private mutating func addBulk(_ value: UnsafeBufferPointer<UInt8>) {
        addHeader(value.count)
        bytes.append(contentsOf: value)
        appendLineEnd()
    }

    private mutating func addHeader(_ length: Int) {
        bytes.append(UInt8(ascii: "$"))
        appendDecimal(Int64(length))
        appendLineEnd()
    }

    private mutating func appendLineEnd() {
        bytes.append(13)
        bytes.append(10)
    }

    private mutating func appendDecimal(_ number: Int64) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        var divisor: UInt64 = 1
        let magnitude = number.magnitude
        while magnitude / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(magnitude / divisor % 10))
            divisor /= 10
        }
    }

    private static func decimalWidth(_ number: Int64) -> Int {
        var width = number < 0 ? 2 : 1
        var rest = number.magnitude
        while rest >= 10 {
            rest /= 10
            width += 1
        }
        return width
    }
}
