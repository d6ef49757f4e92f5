import CHiredis
import Glibc

/// Parses bytes from the server into replies, with the parser of hiredis.
struct ReplyReader: ~Copyable {
    private let reader: UnsafeMutablePointer<redisReader>

    /// Fails if memory is short.
    init?() {
        guard let reader = redisReaderCreate() else { return nil }
        self.reader = reader
    }

    deinit { redisReaderFree(reader) }

    /// Takes bytes that have arrived.
    ///
    /// - Throws: `Malformed`, with a short reason.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(Malformed) {
        let start = bytes.bindMemory(to: CChar.self).baseAddress
        guard redisReaderFeed(reader, start, bytes.count) == REDIS_OK else { throw Malformed(reason: errorText) }
    }

    /// Returns the next whole reply, or nil if more bytes are needed.
    mutating func next() throws(Malformed) -> RedisValue? {
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &reply) == REDIS_OK else { throw Malformed(reason: errorText) }
        guard let reply else { return nil }
        defer { freeReplyObject(reply) }
        return RedisValue(reply.assumingMemoryBound(to: redisReply.self).pointee)
    }

    struct Malformed: Error {
        let reason: String
    }

    private var errorText: String {
        withUnsafeBytes(of: &reader.pointee.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension RedisValue {
    fileprivate init(_ reply: redisReply) {
        switch reply.type {
        case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
        case REDIS_REPLY_STRING: self = .bytes([UInt8](reply.text))
        case REDIS_REPLY_STATUS: self = .status(String(decoding: reply.text, as: UTF8.self))
        case REDIS_REPLY_ERROR: self = .error(String(decoding: reply.text, as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: reply.element, count: reply.element == nil ? 0 : reply.elements)
            self = .array(elements.map { $0.map { RedisValue($0.pointee) } ?? .null })
        default: self = .null
        }
    }
}

extension redisReply {
    fileprivate var text: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: str, count: str == nil ? 0 : len) }
}

extension Redis {
    /// Loads the library of the protocol now, so that a missing one ends the tool before it has read an event.
    package static func loadLibrary() { freeReplyObject(nil) }
}
