import ArgumentParser
import Options
import Queue
import Testing

@testable import ev_queue

@Suite struct ArgumentTests {
    @Test(arguments: ["jobs", "queue:jobs"])
    func `A queue is named with or without its prefix`(_ text: String) {
        #expect(QueueArgument(argument: text)?.name.description == "queue:jobs")
    }

    @Test(arguments: ["", "queue:", "a b", "-x", "queue:queue:x"])
    func `Other texts are no queue's name`(_ text: String) {
        #expect(QueueArgument(argument: text) == nil)
    }

    @Test func `The program of work follows two dashes`() throws {
        let work = try Work.parse(["jobs", "--batch", "5", "--", "./run.sh", "--flag"])
        #expect(work.command == ["./run.sh", "--flag"])
        #expect(work.batch == 5 && work.concurrency == 1 && !work.once)
    }

    @Test(arguments: [
        ["jobs"], ["jobs", "--batch", "0", "--", "true"], ["jobs", "--batch", "1001", "--", "true"],
        ["jobs", "--concurrency", "257", "--", "true"], ["jobs", "--max-output", "0", "--", "true"],
    ])
    func `Work refuses arguments out of range`(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try Work.parse(arguments) }
    }

    @Test func `Peek shows either dead letters or pending events`() throws {
        #expect(try Peek.parse(["jobs", "--dead"]).count == 10)
        #expect(throws: (any Error).self) { try Peek.parse(["jobs", "--dead", "--pending", "workers"]) }
        #expect(throws: (any Error).self) { try Peek.parse(["jobs", "-n", "-1"]) }
    }

    @Test func `Push refuses a queue as its input`() throws {
        #expect(try Push.parse(["jobs", "--from", "jobs.ndjson"]).input.options.from == "jobs.ndjson")
        #expect(throws: (any Error).self) { try Push.parse(["jobs", "--from", "queue:other"]) }
        #expect(throws: (any Error).self) { try Push.parse(["jobs", "--max-length", "0"]) }
        #expect(throws: (any Error).self) { try Push.parse(["jobs", "--window", "0s"]) }
    }

    @Test func `Pull takes at least one event`() {
        #expect(throws: (any Error).self) { try Pull.parse(["jobs", "-n", "0"]) }
    }

    @Test(arguments: [[], ["--all", "1735689600000-0"], ["x"], ["1735689600000"], ["1-2-3"], ["+1-0"], ["1--0"]])
    func `Redrive takes all dead letters or named ones`(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try Redrive.parse(["jobs"] + arguments) }
    }

    @Test func `Redrive takes entries as peek shows them`() throws {
        #expect(try Redrive.parse(["jobs", "1735689600000-0", "1735689600001-12"]).entries.count == 2)
        #expect(try Redrive.parse(["jobs", "--all"]).all)
    }
}

@Suite(.timeLimit(.minutes(1))) struct PlacesTests {
    @Test func `A place that is freed goes to the next run`() async {
        let places = Places(count: 2)
        await places.take()
        #expect(places.isIdle)
        await places.take()
        #expect(!places.isIdle)
        let third = Task { await places.take() }
        places.giveBack()
        await third.value
        #expect(!places.isIdle)
    }

    @Test func `The wait for idleness ends with the last run`() async {
        let places = Places(count: 2)
        await places.take()
        await places.take()
        let idle = Task { await places.waitUntilIdle() }
        places.giveBack()
        places.giveBack()
        await idle.value
        #expect(places.isIdle)
    }
}
