import Testing

@testable import Updates

@Suite struct BoundedQueueTests {
    @Test func `All waiting elements are taken at once, in their order`() async {
        let queue = BoundedQueue<Int>(capacity: 3)
        for number in 1...3 { await queue.put(number) }
        #expect(await queue.take(until: nil) == [1, 2, 3])
    }

    @Test func `A full queue makes the producer wait`() async {
        let queue = BoundedQueue<Int>(capacity: 1)
        async let produced: Void = { for number in 1...100 { await queue.put(number) } }()
        var taken: [Int] = []
        while taken.count < 100 {
            let batch = await queue.take(until: nil)
            #expect(batch.count == 1)
            taken += batch
        }
        await produced
        #expect(taken == Array(1...100))
    }

    @Test func `An empty queue returns nothing at the deadline`() async {
        #expect(await BoundedQueue<Int>(capacity: 1).take(until: .now) == [])
    }

    @Test func `A closed queue ends all waits and keeps what it has`() async {
        let queue = BoundedQueue<Int>(capacity: 1)
        await queue.put(1)
        async let blocked: Void = queue.put(2)
        queue.close()
        await blocked
        await queue.put(3)
        #expect(await queue.take(until: nil) == [1])
        #expect(await queue.take(until: nil) == [])
    }

    @Test func `A cancelled consumer ends its wait`() async {
        let queue = BoundedQueue<Int>(capacity: 1)
        let consumer = Task { await queue.take(until: nil) }
        consumer.cancel()
        #expect(await consumer.value == [])
    }
}
