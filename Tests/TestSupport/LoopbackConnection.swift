import Glibc

/// Describes a request that the loopback server received.
package struct LoopbackRequest: Sendable {
    package let method: String
    package let target: String
    /// The headers in the order received; names are in lower case.
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]
    /// The number of the connection, counted from 1.
    package let connection: Int

    package func header(_ name: String) -> String? { headers.first { $0.name == name.lowercased() }?.value }

    /// The offset of a `Range: bytes=N-` header.
    package var rangeStart: Int? {
        guard let range = header("range"), range.hasPrefix("bytes="), range.hasSuffix("-") else { return nil }
        return Int(range.dropFirst(6).dropLast())
    }
}

/// Serves one connection of the loopback server on its own thread.
///
/// It is `@unchecked Sendable` because handlers run on the thread that owns it.
package final class LoopbackConnection: @unchecked Sendable {
    private let descriptor: Int32
    private let number: Int
    private var buffer: [UInt8] = []
    private var isOpen = true

    init(descriptor: Int32, number: Int) {
        self.descriptor = descriptor
        self.number = number
    }

    /// Sends a complete response.
    package func respond(_ status: Int = 200, _ headers: [(String, String)] = [], body: [UInt8] = []) {
        send(head: status, headers + [("Content-Length", "\(body.count)")])
        send(body)
    }

    /// Sends a complete response with a text body.
    package func respond(_ status: Int = 200, _ headers: [(String, String)] = [], text: String) {
        respond(status, headers, body: Array(text.utf8))
    }

    /// Sends only the status line and the headers.
    package func send(head status: Int, _ headers: [(String, String)]) {
        let lines = headers.map { "\($0.0): \($0.1)\r\n" }.joined()
        send(Array("HTTP/1.1 \(status) Scripted\r\n\(lines)\r\n".utf8))
    }

    package func send(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var sent = 0
            while isOpen, sent < bytes.count {
                let count = Glibc.send(
                    descriptor, bytes.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
                if count <= 0 { return close() }
                sent += count
            }
        }
    }

    /// Sends nothing until the client closes the connection.
    package func waitForHangUp() {
        while isOpen, receive() {}
    }

    package func close() {
        if isOpen { Glibc.close(descriptor) }
        isOpen = false
    }

    /// Closes the connection with a TCP reset.
    package func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func readRequest() -> LoopbackRequest? {
        guard let head = readHead() else { return nil }
        var lines = head.split(separator: "\r\n", omittingEmptySubsequences: true)[...]
        let words = lines.popFirst()?.split(separator: " ") ?? []
        guard words.count >= 2 else { return nil }
        let headers = lines.compactMap { line -> (name: String, value: String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            return (line[..<colon].lowercased(), String(value))
        }
        let length = headers.first { $0.name == "content-length" }.flatMap { Int($0.value) } ?? 0
        while buffer.count < length { guard receive() else { return nil } }
        let body = Array(buffer.prefix(length))
        buffer.removeFirst(length)
        return LoopbackRequest(
            method: String(words[0]), target: String(words[1]), headers: headers, body: body, connection: number)
    }

    private func readHead() -> String? {
        while isOpen {
            if let end = buffer.indices.first(where: { buffer[$0...].starts(with: [13, 10, 13, 10]) }) {
                let head = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeFirst(end + 4)
                return head
            }
            guard receive() else { return nil }
        }
        return nil
    }

    private func receive() -> Bool {
        guard isOpen else { return false }
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        buffer.append(contentsOf: chunk.prefix(count))
        return true
    }
}
