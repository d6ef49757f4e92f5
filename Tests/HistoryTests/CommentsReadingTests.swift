import Testing

@testable import History

@Suite struct CommentsReadingTests {
    private func page(_ ids: [Int64], total: Int64? = nil, isWhole: Bool = false) -> HistoryPage {
        HistoryPage(items: ids.map { HistoryPage.Item(id: $0, date: 1) }, total: total, isWhole: isWhole)
    }

    private func next(_ reading: inout CommentsReading) throws -> CommentsReading.Request {
        let request = reading.nextRequest()
        return try #require(request)
    }

    @Test func `Posts are read one after the other, each to its end`() throws {
        var reading = CommentsReading(posts: [5, 9])
        let first = try next(&reading)
        #expect(first == CommentsReading.Request(post: 9, offsetID: 0))
        let second = try next(&reading)
        #expect(second.post == 5)
        let third = reading.nextRequest()
        #expect(third == nil)
        // A short page with a repeated message is no end.
        let begun = reading.take(page([30, 31, 30], total: 3), for: first)
        #expect(begun.kept == [31, 30] && begun.finished == nil)
        let following = try next(&reading)
        #expect(following == CommentsReading.Request(post: 9, offsetID: 30))
        let last = reading.take(page([30, 12], total: 3), for: following)
        #expect(last.kept == [12] && last.finished == 3)
        // Telegram tells of more than it shows: an empty page is the end.
        let short = reading.take(page([20], total: 5), for: second)
        #expect(short.finished == nil)
        let rest = try next(&reading)
        let empty = reading.take(page([], total: 5), for: rest)
        #expect(empty.finished == 1)
        #expect(reading.isDone && reading.keptCount == 4)
    }

    @Test func `A request that fails is asked again, and a post without comments is left out`() throws {
        var reading = CommentsReading(posts: [5, 9])
        let first = try next(&reading)
        reading.release(first)
        let again = try next(&reading)
        #expect(again == first)
        reading.skip(again)
        let late = reading.take(page([1], total: 1), for: first)
        #expect(late.kept.isEmpty)
        let second = try next(&reading)
        #expect(second.post == 5 && !reading.isDone)
        let whole = reading.take(page([3], isWhole: true), for: second)
        #expect(whole.finished == 1 && reading.isDone)
    }
}
