import Glibc
package import JSON

/// Memory that the writers of pages reuse.
package final class PageMemory {
    package let output = TextBuffer()
    /// The forms of users and chats.
    let forms = TextBuffer()
    let scratch = TextBuffer()

    package init() {}

    func clear() {
        output.clear()
        forms.clear()
        scratch.clear()
    }
}

// These functions are in this module so that they become part of their callers.

extension TextBuffer {
    @inline(__always)
    func put(_ literal: StaticString) {
        let count = literal.utf8CodeUnitCount
        if memory.pointee.end - memory.pointee.at < count { reserve(count) }
        memory.pointee.at.copyMemory(from: literal.utf8Start, byteCount: count)
        memory.pointee.at += count
    }

    /// Appends a key with its separators, and a value; nothing without a value.
    @inline(__always)
    func put(_ key: StaticString, _ value: JSONView?) {
        guard let value else { return }
        put(key)
        put(value)
    }

    @inline(__always)
    func put(_ key: StaticString, _ number: Int64) {
        put(key)
        put(integer: number)
    }
}

extension UnsafeRawBufferPointer {
    /// Returns whether the bytes are those of a text.
    @inline(__always)
    func matches(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount, let baseAddress else { return false }
        return memcmp(baseAddress, text.utf8Start, text.utf8CodeUnitCount) == 0
    }
}

extension JSONView {
    /// Returns whether the value is this string.
    @inline(__always)
    func matches(_ other: StaticString) -> Bool { text?.matches(other) ?? false }
}
