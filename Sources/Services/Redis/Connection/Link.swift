import System
import Glibc

/// Represents one open and greeted connection: sends commands and reads the replies in order.
final class Link {
    private let address: RedisAddress
    private let socket: Socket
    private var reader: ReplyReader
    private var output: [UInt8] = []
    private var sentCount = 0
    private var hasAnswered = false
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)

    /// Connects and greets: password, database, client name; waits while the server reads its data set.
    init(
        to address: RedisAddress, clientName: String, until deadline: Deadline, waiter: PollWaiter
    ) throws(RedisError) {
        guard let reader = ReplyReader() else { throw RedisError(.unreachable, "out of memory") }
        self.address = address
        self.reader = reader
        socket = try Socket.connect(to: address, until: deadline, waiter: waiter)
        try Greeting(address: address, clientName: clientName).perform(over: self, until: deadline, waiter: waiter)
    }

    deinit { buffer.deallocate() }

    var descriptor: Int32 { socket.descriptor }
    var hasOutput: Bool { sentCount < output.count }

    /// The events to wait for with `poll`.
    var interest: Int32 { Int32(POLLIN) | (hasOutput ? Int32(POLLOUT) : 0) }

    /// Is true if bytes may be sent by others while nothing waits in `output`: nothing has to be encrypted.
    var isPlain: Bool { socket.isPlain }

    /// - Parameter skipped: the number of bytes at the beginning that have been sent already.
    func enqueue(_ bytes: [UInt8], skipping skipped: Int = 0) {
        guard skipped < bytes.count else { return }
        if sentCount == output.count {
            sentCount = 0
            // The array keeps its memory for the next small batches, unless a huge value enlarged it.
            output.removeAll(keepingCapacity: output.capacity <= 1 << 20)
        }
        output.append(contentsOf: bytes[skipped...])
    }

    /// Sends as many bytes as the system accepts without waiting.
    func flush() throws(RedisError) {
        while hasOutput {
            let moved = output.withUnsafeBytes { socket.send(UnsafeRawBufferPointer(rebasing: $0[sentCount...])) }
            switch moved {
            case .bytes(let count): sentCount += count
            case .wouldBlock: return
            case .lost(let reason): throw lost(reason)
            case .refused(let error): throw error
            }
        }
    }

    /// Reads once.
    ///
    /// - Returns: false if no bytes had arrived.
    func receive() throws(RedisError) -> Bool {
        switch socket.receive(into: buffer) {
        case .wouldBlock: return false
        case .lost(let reason): throw lost(reason)
        case .refused(let error): throw error
        case .bytes(let count):
            do throws(ReplyReader.Malformed) {
                try reader.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            } catch {
                throw malformed(error)
            }
            return true
        }
    }

    func nextReply() throws(RedisError) -> RedisValue? {
        do throws(ReplyReader.Malformed) {
            let reply = try reader.next()
            if reply != nil { hasAnswered = true }
            return reply
        } catch {
            throw malformed(error)
        }
    }

    /// Sends commands and waits for all replies, while no other command is pending.
    func exchange(_ batch: CommandBatch, until deadline: Deadline, waiter: PollWaiter) throws(RedisError)
        -> [RedisValue]
    {
        enqueue(batch.bytes)
        var replies: [RedisValue] = []
        while true {
            try flush()
            while replies.count < batch.count, let reply = try nextReply() { replies.append(reply) }
            if replies.count == batch.count { return replies }
            switch waiter.waitThrough(for: interest, on: descriptor, until: deadline) {
            case .ready: _ = try receive()
            case .stopped: throw RedisError(.closed, "the connection to Redis at \(address) is closed")
            case .timedOut, .woken: throw RedisError(.unreachable, "no answer from Redis at \(address) in time")
            }
        }
    }

    private func lost(_ reason: String) -> RedisError {
        RedisError(.unreachable, "lost the connection to Redis at \(address): \(reason)\(hint)")
    }

    private func malformed(_ error: ReplyReader.Malformed) -> RedisError {
        RedisError(
            .protocolError,
            "the server at \(address) does not use the Redis protocol: \(error.reason.printable(atMost: 300))\(hint)")
    }

    /// The likely mistake if the server has never answered.
    private var hint: String {
        guard !hasAnswered, case .tcp = address.server else { return "" }
        guard let tls = address.tls else { return "; if it uses TLS, write rediss:// instead of redis://" }
        return tls.certificate == nil
            ? "; if it wants a certificate of this side, give it with ?cert=/path&key=/path" : ""
    }
}
