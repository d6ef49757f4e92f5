import Accounts
import History
import JSON
import Options
import Stage
import System

extension HistoryPool {
    /// Runs a body while the accounts work, and ends the pool afterwards or at the shutdown.
    ///
    /// - Throws: the failure of a session that cannot be used at all; the errors of `body`.
    nonisolated func withAccounts(
        _ sessions: [NamedSession], _ options: ConnectionOptions, takeout: Bool, in runtime: Runtime,
        _ body: @escaping @Sendable () async throws -> ExitStatus
    ) async throws -> ExitStatus {
        let opened = sessions.map { _ in Promise<Void>() }
        return try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
            for (session, opened) in zip(sessions, opened) {
                group.addTask {
                    try await self.work(session, options, takeout: takeout, opened)
                    return nil
                }
            }
            group.addTask {
                await runtime.shutdown.wait()
                await self.close(CancellationError())
                return nil
            }
            group.addTask {
                for opened in opened { try await opened.value() }
                // Connecting has used much of the program that reading does not.
                ProgramStart.releasePages()
                let status = try await body()
                await self.close(CancellationError())
                return status
            }
            defer { group.cancelAll() }
            do {
                while let ended = try await group.next() {
                    if let status = ended { return status }
                }
                throw CancellationError()
            } catch {
                await self.close(error)
                throw error
            }
        }
    }

    private nonisolated func work(
        _ session: NamedSession, _ options: ConnectionOptions, takeout isTakeout: Bool, _ opened: Promise<Void>
    ) async throws {
        try await session.withAccount(options) { account in
            let username = try await account.peer(account.userID)?["username"]?.string
            let takeout = isTakeout ? try await Takeout(account, name: session.name) : nil
            let member = try await self.add(account, name: session.name, username: username, takeout: takeout)
            opened.fulfil(.success(()))
            try await self.work(as: member)
            // If this fails, Telegram ends the export by itself.
            try? await takeout?.end(account)
        }
    }
}
