/// The head of an answer as its lines come in; a new status line (after a redirect, or 100 Continue) starts over.
struct IncomingHead {
    private(set) var status = 0
    private(set) var headers = HTTPHeaders()
    /// Of all lines, of all answers.
    private(set) var totalBytes = 0
    private var isOpen = false

    /// Whether it says to go elsewhere.
    var isRedirect: Bool { (300..<400).contains(status) && !(headers["Location"] ?? "").isEmpty }

    /// Takes one line; true when it ends the head.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        totalBytes += bytes.count
        let line = trimmed(bytes[...])
        if line.isEmpty {
            defer { isOpen = false }
            return isOpen
        }
        if line.starts(with: "HTTP/".utf8), !isOpen {
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
            status = words.count > 1 ? Int(String(decoding: words[1], as: UTF8.self)) ?? 0 : 0
            headers = HTTPHeaders()
            isOpen = true
        } else if isOpen, let colon = line.firstIndex(of: UInt8(ascii: ":")) {
            let name = trimmed(line[..<colon])
            let value = trimmed(line[line.index(after: colon)...])
            headers.append(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
        }
        return false
    }

    private func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        var result = bytes
        while let byte = result.first, byte == 0x20 || byte == 0x09 { result = result.dropFirst() }
        while let byte = result.last, byte == 0x20 || byte == 0x09 || byte == 0x0d || byte == 0x0a {
            result = result.dropLast()
        }
        return result
    }
}
