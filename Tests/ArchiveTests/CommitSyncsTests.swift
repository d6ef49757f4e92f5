import Glibc
import Synchronization
import System
import TestSupport
import Testing

@testable import Archive

@Suite struct CommitSyncsTests {
    private struct DiskFailure: Error {}

    /// A disk that has written once it is told so.
    private final class SlowDisk: Sendable {
        private let ends: (read: Int32, write: Int32)
        let waits = Atomic(0)

        init() throws {
            var ends: [Int32] = [-1, -1]
            try #require(pipe(&ends) == 0)
            self.ends = (ends[0], ends[1])
        }

        deinit {
            close(ends.read)
            close(ends.write)
        }

        func sync() throws {
            waits.add(1, ordering: .relaxed)
            var answer: UInt8 = 0
            guard read(ends.read, &answer, 1) == 1, answer == 1 else { throw DiskFailure() }
        }

        /// Ends one wait.
        func answer(isWritten: Bool) {
            var answer: UInt8 = isWritten ? 1 : 0
            _ = write(ends.write, &answer, 1)
        }

        func isWaiting(_ number: Int) async throws -> Bool {
            try await eventually { self.waits.load(ordering: .relaxed) == number }
        }
    }

    @Test
    func `One wait for the disk serves all commits made during the wait before, and after a failure none is safe`()
        async throws
    {
        let disk = try SlowDisk()
        let syncs = CommitSyncs(disk.sync)
        let commits = (0..<4).map { _ in Promise<Void>() }
        syncs.add(commits[0])
        #expect(try await disk.isWaiting(1))
        // The disk may have begun before these commits.
        for commit in commits[1...] { syncs.add(commit) }
        disk.answer(isWritten: true)
        try await commits[0].value()
        #expect(try await disk.isWaiting(2))
        #expect(commits[1...].allSatisfy { $0.result == nil })
        disk.answer(isWritten: true)
        for commit in commits { try await commit.value() }
        let (lost, later) = (Promise<Void>(), Promise<Void>())
        syncs.add(lost)
        #expect(try await disk.isWaiting(3))
        disk.answer(isWritten: false)
        await #expect(throws: DiskFailure.self) { try await lost.value() }
        syncs.add(later)
        await #expect(throws: DiskFailure.self) { try await later.value() }
        #expect(try await disk.isWaiting(3))
    }
}
