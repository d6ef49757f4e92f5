package import Accounts
import Envelope
import JSON
import Logging
import MTProto
package import Payloads
package import Stage
import System
import TL

/// Reads histories through several accounts, each of which works on any chat that it can read.
///
/// An account makes one call at a time, so that it makes none after Telegram has told it to wait. While an account waits, the others take its
/// work. An account that cannot read a chat is not asked for it again; one that Telegram has closed leaves the pool.
package actor HistoryPool {
    let runtime: Runtime
    let settings: PoolSettings
    var members: [PoolMember] = []
    var chats: [ChatKey: PoolChat] = [:]
    var jobs: [Int: PoolJob] = [:]
    private var lastJob = 0
    private var closing: (any Error)?
    private nonisolated let idle = IdleTasks()
    nonisolated let memory = PageMemoryPool()

    package init(_ runtime: Runtime, _ settings: PoolSettings) {
        (self.runtime, self.settings) = (runtime, settings)
    }

    // MARK: Accounts

    /// Adds an account.
    ///
    /// - Parameters:
    ///   - name: the name of its session.
    ///   - username: the account's user name.
    /// - Throws: `ToolError` (78) if another session of the same account is in the pool.
    package func add(
        _ account: any Account, name: String, username: String?, takeout: Takeout? = nil
    ) throws -> MemberID {
        if let other = members.first(where: { $0.account.userID == account.userID }) {
            throw ToolError(
                .configuration,
                "the sessions '\(other.name)' and '\(name)' belong to the same account (\(account.userID)): name one of them"
            )
        }
        if let other = members.first(where: { $0.account.schema.layer != account.schema.layer }) {
            throw ToolError(
                .configuration,
                "the owners of the sessions '\(other.name)' and '\(name)' use different layers of Telegram's API: start both with the same --layer"
            )
        }
        let id = MemberID(number: members.count)
        let receiver = EventReceiver(id: account.userID, username: username)
        members.append(PoolMember(id: id, name: name, account: account, receiver: receiver, takeout: takeout))
        return id
    }

    // MARK: Jobs

    /// Reads the messages of a chat within some bounds.
    ///
    /// - Parameters:
    ///   - username: the user name that the chat must have; a name may become another chat's.
    ///   - accountID: the only account that may read.
    ///   - write: receives the lines of events, one answer after the other; the reading goes on when it returns.
    ///   - onProgress: called after each answer with messages.
    /// - Returns: the facts about the chat.
    /// - Throws: `HistoryFailure`; `CancellationError` when the pool is closed; the error of `write`.
    package func read(
        _ chat: ChatID, username: String? = nil, _ bounds: HistoryBounds, accountID: Int64? = nil,
        write: @escaping @Sendable ([UInt8]) async throws -> Void,
        onProgress: @escaping @Sendable (ReadingProgress) -> Void = { _ in }
    ) async throws -> ChatFacts {
        try await run(chat, username: username, bounds, accountID: accountID, comments: nil, write, onProgress)
    }

    func run(
        _ chat: ChatID, username: String? = nil, _ bounds: HistoryBounds, accountID: Int64?,
        comments: CommentsReading?,
        _ write: @escaping @Sendable ([UInt8]) async throws -> Void,
        _ onProgress: @escaping @Sendable (ReadingProgress) -> Void
    ) async throws -> ChatFacts {
        if let closing { throw closing }
        var member: MemberID?
        if let accountID {
            guard let found = members.first(where: { $0.account.userID == accountID }) else {
                throw HistoryFailure(
                    .otherAccount, "the command is for the account \(accountID), which is not in this pool")
            }
            member = found.id
        }
        lastJob += 1
        let number = lastJob
        let key = ChatKey(chat)
        if chats[key] == nil { chats[key] = PoolChat(key) }
        jobs[number] = PoolJob(
            number: number, key: key, username: username, bounds: bounds, member: member, cause: Correlation.current,
            write: write,
            onProgress: onProgress, comments: comments)
        giveUpHopeless()
        dispatch()
        defer {
            jobs[number] = nil
            dispatch()
        }
        guard let end = jobs[number]?.end else { throw CancellationError() }
        return try await end.value()
    }

    /// Ends the pool: no further call is made, and each job fails with this error.
    package func close(_ error: any Error) {
        closing = closing ?? error
        for job in jobs.values { job.end.fulfil(.failure(error)) }
        dispatch()
    }

    // MARK: Work

    /// Returns the next call that an account is to make; waits for one. Returns nil when the pool is closed or the account has left.
    func next(for id: MemberID) async -> Assignment? {
        while !Task.isCancelled, closing == nil, members[id.number].departure == nil {
            let now = ContinuousClock.now
            let times = [members[id.number].nextCall].compactMap { $0 } + members[id.number].waits.values
            if let assignment = await work(for: id, until: times.filter { $0 > now }.min()) { return assignment }
        }
        return nil
    }

    /// Waits for work, at most until a time at which there may be some without any change.
    private func work(for id: MemberID, until due: ContinuousClock.Instant?) async -> Assignment? {
        guard let due else { return await work(for: id) }
        return await withTaskGroup(of: Assignment?.self) { group in
            group.addTask { await self.work(for: id) }
            group.addTask {
                try? await Task.sleep(until: due, clock: .continuous)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            // Work may have been given in the same moment.
            let second = await group.next() ?? nil
            return first ?? second
        }
    }

    private func work(for id: MemberID) async -> Assignment? {
        // Between this look and the wait, the actor does nothing else, so no change is missed.
        if let assignment = assignment(for: id, at: .now) { return assignment }
        return await idle.wait(as: id)
    }

    /// Gives work to idle tasks.
    func dispatch() {
        guard closing == nil else { return idle.end() }
        let now = ContinuousClock.now
        for id in idle.members {
            if members[id.number].departure != nil {
                idle.end(id)
            } else if let assignment = assignment(for: id, at: now), !idle.give(assignment) {
                // The task was cancelled meanwhile.
                jobs[assignment.job]?.inWork -= 1
                members[id.number].isCalling = false
                putBack(assignment)
            }
        }
    }

    private func assignment(for id: MemberID, at now: ContinuousClock.Instant) -> Assignment? {
        guard !members[id.number].isCalling else { return nil }
        // Chats on which few accounts work come first, so that the accounts spread.
        for number in jobs.values.sorted(by: { ($0.inWork, $0.number) < ($1.inWork, $1.number) }).map(\.number) {
            if let assignment = assignment(for: id, job: number, at: now, sharing: false) { return assignment }
        }
        let largest = jobs.values.filter { ($0.reading?.largestShare ?? 0) > 0 }
            .sorted { $0.reading?.largestShare ?? 0 > $1.reading?.largestShare ?? 0 }
        for job in largest {
            if let assignment = assignment(for: id, job: job.number, at: now, sharing: true) { return assignment }
        }
        return nil
    }

    private func assignment(
        for id: MemberID, job number: Int, at now: ContinuousClock.Instant, sharing: Bool
    ) -> Assignment? {
        guard let job = jobs[number], let chat = chats[job.key], job.member ?? id == id, job.end.result == nil else {
            return nil
        }
        let member = members[id.number]
        switch member.access[job.key] {
        case .asking, .refused: return nil
        case nil:
            // The first account that is asked also tells the others what the chat is.
            guard chat.facts != nil || !chat.isAsked, job.reading?.isWaiting ?? true || sharing else { return nil }
            return find(job, chat, member, at: now)
        case .granted: break
        }
        guard let facts = chat.facts else { return nil }
        if facts.isShared, !chat.isDescribed, settings.describesChats {
            let parameters: JSONObject = ["channel": .integer(facts.id)]
            if let found = make(.describe, job, member, "channels.getFullChannel", parameters, at: now) {
                chats[job.key]?.isDescribed = true
                return found
            }
        }
        if job.comments != nil { return readComments(number, member, facts, at: now) }
        if job.reading == nil { begin(number, facts, id) }
        return read(number, member, facts, at: now, sharing: sharing)
    }

    /// Begins a job's reading. In private chats and basic groups, one account must read everything: others count the messages differently.
    private func begin(_ number: Int, _ facts: ChatFacts, _ id: MemberID) {
        guard let job = jobs[number] else { return }
        if let name = job.username, !facts.usernames.contains(name.lowercased()) {
            let present = facts.username.map { "is @\($0.printable) now" } ?? "has no user name any more"
            let failure = HistoryFailure(
                .otherName,
                "the chat \(facts.id) was @\(name.printable), and \(present). Ask for it by its id to read it on. If "
                    + "@\(name.printable) is another chat now, ask for that one by its id, too, which "
                    + "'tg-call contacts.resolveUsername' tells")
            return job.end.fulfil(.failure(failure))
        }
        if !facts.isShared { jobs[number]?.member = job.member ?? id }
        jobs[number]?.facts = facts
        jobs[number]?.reading = ChatReading(
            job.bounds, isChannel: facts.isShared, newest: facts.isShared ? chats[job.key]?.newest : nil)
        finishIfDone(number)
    }

    private func find(
        _ job: PoolJob, _ chat: PoolChat, _ member: PoolMember, at now: ContinuousClock.Instant
    ) -> Assignment? {
        if let name = member.names[job.key] { return find(job, by: .string("@\(name)"), chat.kind, member, at: now) }
        let peer: JSON =
            switch job.key {
            case .id(let id): .integer(id)
            case .name(let name): chat.facts.map { .integer($0.id) } ?? .string("@\(name)")
            }
        return find(job, by: peer, chat.kind, member, at: now)
    }

    private func find(
        _ job: PoolJob, by peer: JSON, _ kind: PoolChat.Kind, _ member: PoolMember, at now: ContinuousClock.Instant
    ) -> Assignment? {
        let method =
            switch kind {
            case .channel: "channels.getChannels"
            case .user: "users.getUsers"
            case .group: "messages.getChats"
            }
        var id = peer
        if kind == .group, let number = peer.int { id = .integer(0 &- number) }
        guard let found = make(.find(peer), job, member, method, ["id": .array([id])], at: now) else { return nil }
        members[member.id.number].access[job.key] = .asking
        chats[job.key]?.isAsked = true
        return found
    }

    private func read(
        _ number: Int, _ member: PoolMember, _ facts: ChatFacts, at now: ContinuousClock.Instant, sharing: Bool
    ) -> Assignment? {
        guard let job = jobs[number], var reading = job.reading, reading.isWaiting || sharing,
            let request = reading.nextRequest()
        else { return nil }
        let (method, parameters) = request.query.call(facts)
        guard let assignment = make(.read(request), job, member, method, parameters, at: now) else { return nil }
        jobs[number]?.reading = reading
        return assignment
    }

    /// Returns nil if the account must not make the call yet.
    func make(
        _ work: Assignment.Work, _ job: PoolJob, _ member: PoolMember, _ method: String, _ parameters: JSONObject,
        at now: ContinuousClock.Instant
    ) -> Assignment? {
        // A search by name calls another method first.
        guard member.earliest(method, at: now) == nil else { return nil }
        if case .find(.string) = work, member.earliest(Names.method, at: now) != nil { return nil }
        jobs[job.number]?.inWork += 1
        members[member.id.number].isCalling = true
        members[member.id.number].nextCall = settings.pace.map { now + $0 }
        return Assignment(
            member: member.id, job: job.number, key: job.key, work: work, method: method, parameters: parameters,
            context: Assignment.Context(cause: job.cause, write: job.write, onProgress: job.onProgress),
            facts: chats[job.key]?.facts)
    }

    // MARK: Results

    /// Notes that the account may make its next call.
    func callEnded(_ id: MemberID) {
        members[id.number].isCalling = false
        dispatch()
    }

    /// Notes that nothing is left to do for a call: its results are written.
    func finished(_ assignment: Assignment) {
        jobs[assignment.job]?.inWork -= 1
        finishIfDone(assignment.job)
        dispatch()
    }

    private func finishIfDone(_ number: Int) {
        if let job = jobs[number], let comments = job.comments, let facts = job.facts {
            if job.inWork <= 0, comments.isDone { job.end.fulfil(.success(facts)) }
            return
        }
        guard let job = jobs[number], let reading = job.reading, let facts = job.facts, job.inWork <= 0, reading.isDone
        else { return }
        if reading.isRefused {
            let total = reading.total.map { "\($0)" } ?? "some"
            job.end.fulfil(
                .failure(
                    HistoryFailure(
                        .refused, "the chat \(facts.id) has \(total) messages, but Telegram does not show them")))
        } else {
            job.end.fulfil(.success(chats[job.key]?.facts ?? facts))
        }
    }

    /// Takes an answer about what a chat is.
    func found(_ facts: ChatFacts?, _ assignment: Assignment) {
        chats[assignment.key]?.isAsked = false
        guard let facts else { return refused(assignment, "Telegram does not show the chat to this account") }
        members[assignment.member.number].access[assignment.key] = .granted
        if chats[assignment.key]?.facts == nil { chats[assignment.key]?.facts = facts }
    }

    func described(_ full: JSON?, _ assignment: Assignment) {
        if let full { chats[assignment.key]?.facts?.add(full: full) }
    }

    /// Takes the facts of an answer with messages.
    func take(_ page: HistoryPage, _ request: ChatReading.Request, _ assignment: Assignment) -> PageResult? {
        guard var reading = jobs[assignment.job]?.reading else { return nil }
        let taken = reading.take(page, for: request)
        jobs[assignment.job]?.reading = reading
        if let newest = reading.newest {
            let known = chats[assignment.key]?.newest ?? 0
            chats[assignment.key]?.newest = max(newest, known)
        }
        dispatch()
        let chat = chats[assignment.key]?.facts?.body ?? [:]
        let progress = ReadingProgress(
            chatID: assignment.facts?.id ?? 0, title: chat["title"]?.string ?? chat["first_name"]?.string ?? "",
            added: Int64(taken.kept.count), messages: reading.keptCount, total: reading.total,
            idsWanted: reading.idsWanted, idsLeft: reading.idsLeft, newest: reading.newest)
        return PageResult(
            taken: taken, total: reading.total, newest: reading.newest, chat: chat, progress: progress)
    }

    // MARK: Failures

    /// Gives the work of a call that failed to other accounts, or to the same one later.
    func putBack(_ assignment: Assignment) {
        switch assignment.work {
        case .find:
            members[assignment.member.number].access[assignment.key] = nil
            chats[assignment.key]?.isAsked = false
        case .describe: chats[assignment.key]?.isDescribed = false
        case .read(let request): jobs[assignment.job]?.reading?.release(request)
        case .comments(let request): jobs[assignment.job]?.comments?.release(request)
        }
    }

    /// Notes a wait that Telegram demands of an account.
    func wait(_ wait: FloodWait, _ assignment: Assignment) {
        let until = ContinuousClock.now + wait.remaining + PoolMember.margin
        let known = members[assignment.member.number].waits[wait.method]
        members[assignment.member.number].waits[wait.method] = max(known ?? until, until)
        putBack(assignment)
    }

    /// Notes that an account cannot read a chat.
    func refused(_ assignment: Assignment, _ reason: String) {
        putBack(assignment)
        chats[assignment.key]?.isDescribed = true
        members[assignment.member.number].access[assignment.key] = .refused(reason)
        giveUpHopeless()
    }

    /// Notes that a name or id means a user, not a channel.
    func isUser(_ assignment: Assignment) {
        putBack(assignment)
        chats[assignment.key]?.kind = .user
    }

    /// Lets an account that does not know the id of a chat search for it by a user name.
    ///
    /// - Returns: false if it has done so already.
    func findByName(_ name: String, _ assignment: Assignment) -> Bool {
        guard members[assignment.member.number].names.updateValue(name, forKey: assignment.key) == nil else {
            return false
        }
        putBack(assignment)
        return true
    }

    /// Lets an account pause after a transient failure.
    ///
    /// - Returns: the pause.
    func failed(_ assignment: Assignment) -> Duration {
        putBack(assignment)
        let pause = members[assignment.member.number].backoff.next()
        members[assignment.member.number].nextCall = .now + pause
        return pause
    }

    func succeeded(_ id: MemberID) { members[id.number].backoff.reset() }

    /// Removes an account from the work.
    func leave(_ id: MemberID, _ reason: String) {
        members[id.number].departure = members[id.number].departure ?? reason
        giveUpHopeless()
        dispatch()
    }

    /// Ends the jobs that no account can do.
    private func giveUpHopeless() {
        for job in jobs.values where job.end.result == nil {
            let able = members.filter { job.member ?? $0.id == $0.id }
            let here = able.filter { $0.departure == nil }
            if here.isEmpty {
                let reason = able.compactMap(\.departure).last ?? "no account is in the pool"
                job.end.fulfil(.failure(HistoryFailure(.noAccountLeft, "no account is left to read with: \(reason)")))
                continue
            }
            let reasons = here.map { member -> String? in
                if case .refused(let reason) = member.access[job.key] { reason } else { nil }
            }
            guard !reasons.contains(nil) else { continue }
            job.end.fulfil(
                .failure(
                    HistoryFailure(
                        .noAccess, "\(job.key): no account can read it: \(reasons.compactMap { $0 }.last ?? "")")))
        }
    }
}
