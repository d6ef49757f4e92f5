import Testing

@testable import MTProto

struct UpdateBufferTests {
    @Test func `elements leave a queue in the order in which they came, also between removals`() {
        var queue = FirstInFirstOut<Int>()
        var (next, expected) = (0, 0)
        for round in 0..<2000 {
            for _ in 0..<(round % 7) {
                queue.append(next)
                next += 1
            }
            for _ in 0..<(round % 5) where queue.count > 0 {
                #expect(queue.popFirst() == expected)
                expected += 1
            }
        }
        #expect(queue.count == next - expected)
        queue.removeAll { $0 % 2 == 0 }
        while let element = queue.popFirst() { #expect(element % 2 == 1) }
        #expect(queue.count == 0 && queue.popFirst() == nil)
    }

    @Test func `a full buffer is emptied in order, and a dropped update leaves one gap`() async throws {
        let buffer = UpdateBuffer<ConnectionEvent>(maxUpdates: 10_000, maxBytes: 1 << 20)
        for number in 0..<10_000 { buffer.add(.update([UInt8(truncatingIfNeeded: number)])) }
        for number in 0..<5_000 {
            guard case .update(let bytes)? = try await buffer.next() else { throw MTProtoError(.closed, "no update") }
            #expect(bytes == [UInt8(truncatingIfNeeded: number)])
        }
        for _ in 0..<5_001 { buffer.add(.update([1])) }
        guard case .gap? = try await buffer.next() else { throw MTProtoError(.closed, "no gap") }
        buffer.finish()
        #expect(try await buffer.next().map { _ in true } == nil)
    }
}
