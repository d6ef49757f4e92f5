import Testing

@testable import Stage

@Suite struct IdleMemoryTests {
    @Test func `Memory is given back once a process has become idle, and again only after it has worked`() {
        var memory = IdleMemory()
        let times = [300, 305, 310, 315, 900, 901].map { Duration.milliseconds($0) }
        let due = times.filter { memory.isDue(used: $0) }
        #expect(due == [.milliseconds(305), .milliseconds(901)])
    }

    @Test func `The small work of heartbeats counts when it has added up`() {
        var memory = IdleMemory()
        let times = (1...100).map { Duration.milliseconds($0) }
        let due = times.filter { memory.isDue(used: $0) }
        #expect(due == [1, 21, 41, 61, 81].map { Duration.milliseconds($0) })
    }
}
