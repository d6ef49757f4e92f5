import Accounts
import Envelope
import JSON
import Logging
import MTProto
import Payloads
import Stage
import System
import TL
import Updates

/// The work of the accounts.
extension HistoryPool {
    /// The number of tasks of an account: one calls while another writes.
    private static let tasksOfMember = 2

    /// Lets an account work until the pool is closed or the account leaves it.
    ///
    /// - Throws: the first failure after which the tool cannot continue.
    package nonisolated func work(as id: MemberID) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<HistoryPool.tasksOfMember {
                group.addTask {
                    do {
                        while let assignment = await self.next(for: id) { try await self.perform(assignment) }
                    } catch {
                        // The other task may wait for work, which only the end of the pool ends.
                        await self.close(error)
                        throw error
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private nonisolated func perform(_ assignment: Assignment) async throws {
        // The answer is at least as new as its question. The time of its arrival would tell less: what happened to the messages in between
        // would look older than the answer.
        let askedAt = Timestamp.now
        let answer = try await call(assignment)
        await callEnded(assignment.member)
        if let answer { try await take(answer, askedAt, assignment) }
        await finished(assignment)
    }

    /// Makes a call; returns nil if it failed, and its work was put back.
    private nonisolated func call(_ assignment: Assignment) async throws -> TLValue? {
        let member = await members[assignment.member.number]
        do {
            let (method, parameters) =
                member.takeout?.wrapped(assignment.method, assignment.parameters)
                ?? (assignment.method, assignment.parameters)
            let answer = try await member.account.call(method, parameters, CallOptions())
            await succeeded(assignment.member)
            return answer
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            try await handle(error, assignment, member)
            return nil
        }
    }

    private nonisolated func handle(
        _ error: any Error, _ assignment: Assignment, _ member: PoolMember
    ) async throws {
        let (log, name) = (runtime.log, member.name)
        // A search by name fails because of the resolution of the name.
        var method = assignment.method
        if case .find(.string) = assignment.work { method = Names.method }
        switch CallFailure(error, method: method) {
        case .wait(let wait):
            log.notice(
                "\(name): \(wait.method): Telegram demands a wait of \(wait.remaining.spanText); the other accounts go on"
            )
            settings.onWait?(name, wait)
            await self.wait(wait, assignment)
            try await report(wait, assignment, member.account)
        case .accountLost(let reason):
            log.warning("the account of '\(name)' leaves the pool: \(reason)")
            await putBack(assignment)
            await leave(assignment.member, reason)
        case .noAccess(let reason):
            if case .describe = assignment.work { return log.debug("\(name): \(assignment.method): \(reason)") }
            if case .comments(let request) = assignment.work, (error as? TelegramRPCError)?.name == "MSG_ID_INVALID" {
                log.debug("\(name): the post \(request.post) has no comments any more")
                return await skip(request, assignment)
            }
            if try await findsByName(assignment) { return }
            log.notice("'\(name)' cannot read \(assignment.key): \(reason)")
            await refused(assignment, reason)
        case .otherKind(let reason):
            guard case .find = assignment.work, assignment.method != "users.getUsers" else {
                return await refused(assignment, reason)
            }
            await isUser(assignment)
        case .transient(let reason):
            let pause = await failed(assignment)
            log.warning("\(name): \(assignment.method): \(reason); trying again in \(pause.spanText)")
        case .fatal: throw error
        }
    }

    /// Emits the event that tells of a wait.
    private nonisolated func report(_ wait: FloodWait, _ assignment: Assignment, _ account: any Account) async throws {
        var event = wait.event(account: account.userID, chat: assignment.facts?.id)
        if let cause = assignment.context.cause {
            (event.correlationID, event.causationID, event.meta) = (
                cause.correlationID, cause.causationID, cause.derivedMeta
            )
        }
        try await assignment.context.write(event.line)
    }

    /// Searches for a chat by its user name, if the account does not know its id.
    ///
    /// - Returns: false if there is no name, or the account was asked by it.
    private nonisolated func findsByName(_ assignment: Assignment) async throws -> Bool {
        guard case .find(.integer) = assignment.work, let name = assignment.facts?.username else { return false }
        return await findByName(name, assignment)
    }

    // MARK: Answers

    private nonisolated func take(_ answer: TLValue, _ askedAt: Timestamp, _ assignment: Assignment) async throws {
        let member = await members[assignment.member.number]
        do {
            switch assignment.work {
            case .find: await found(try facts(answer.json(), assignment, own: member.account.userID), assignment)
            case .describe: await described(try answer.json()["full_chat"], assignment)
            case .read(let request): try await take(answer, request, askedAt, assignment, member)
            case .comments(let request): try await take(answer, request, askedAt, assignment, member)
            }
        } catch let error as TLError {
            runtime.log.warning("\(member.name): \(assignment.method): unable to read the answer: \(error.message)")
            await refused(assignment, error.message)
        }
    }

    private nonisolated func facts(_ answer: JSON, _ assignment: Assignment, own: Int64) -> ChatFacts? {
        var container = answer
        if let users = answer.array { container = .object(["users": .array(users)]) }
        let peers = ((container["users"]?.array ?? []) + (container["chats"]?.array ?? [])).compactMap {
            peer -> PeerID? in
            guard let id = peer["id"]?.long else { return nil }
            switch peer["_"]?.string {
            case "user": return .user(id)
            case "chat": return .chat(id)
            case "channel": return .channel(id)
            default: return nil
            }
        }
        return peers.first.flatMap { ChatFacts($0, in: container, own: own) }
    }

    private nonisolated func take(
        _ answer: TLValue, _ request: ChatReading.Request, _ askedAt: Timestamp, _ assignment: Assignment,
        _ member: PoolMember
    ) async throws {
        guard let facts = assignment.facts else { return }
        let page = try MessagePage(answer, of: facts.id)
        guard let result = await take(page.facts, request, assignment) else { return }
        let context = EventContext(
            account: member.receiver, cause: assignment.context.cause, at: askedAt, settings)
        let own = member.account.userID
        let lines = memory.withMemory { memory in
            page.writeEvents(of: result.taken.kept, context, memory)
            for range in result.taken.ranges {
                let event = HistoryRange(
                    accountID: own, ownerID: facts.isShared ? 0 : own, chat: .object(result.chat),
                    fromID: range.from, toID: range.to, found: MessageIDDigest(range.ids), total: result.total,
                    newestID: result.newest == range.to ? result.newest : nil, pts: page.pts)
                memory.output.put(context.envelope(event).line)
            }
            return Array(memory.output.bytes)
        }
        if !lines.isEmpty { try await assignment.context.write(lines) }
        var progress = result.progress
        if settings.findsComments { progress.commented = page.commented(of: result.taken.kept) }
        assignment.context.onProgress(progress)
    }

    private nonisolated func take(
        _ answer: TLValue, _ request: CommentsReading.Request, _ askedAt: Timestamp, _ assignment: Assignment,
        _ member: PoolMember
    ) async throws {
        guard let facts = assignment.facts, let group = facts.linkedChatID else { return }
        let page = try MessagePage(answer, of: group)
        guard let (taken, progress) = await take(page.facts, request, assignment) else { return }
        let context = EventContext(
            account: member.receiver, cause: assignment.context.cause, at: askedAt, settings)
        let own = member.account.userID
        var lines = memory.withMemory { memory in
            page.writeEvents(of: taken.kept, context, memory)
            return Array(memory.output.bytes)
        }
        if let count = taken.finished {
            // An account that is not in the group may be told no more than its id.
            let known = PeerID(botAPI: group).flatMap { ChatFacts($0, in: (try? answer.json()) ?? .null, own: own) }
            let chat = known?.body ?? ["id": .integer(group), "type": "supergroup"]
            let event = HistoryComments(
                accountID: own, chat: .object(chat), channelID: facts.id, postID: request.post, count: count,
                total: page.facts.total)
            lines += context.envelope(event).line
        }
        if !lines.isEmpty { try await assignment.context.write(lines) }
        assignment.context.onProgress(progress)
    }
}

extension CommentsReading.Request {
    /// Returns the method and its parameters.
    func call(_ channel: ChatFacts) -> (method: String, parameters: JSONObject) {
        (
            "messages.getReplies",
            [
                "peer": .integer(channel.id), "msg_id": .integer(post), "offset_id": .integer(offsetID),
                "offset_date": 0, "add_offset": 0, "limit": .integer(ChatReading.pageSize), "max_id": 0, "min_id": 0,
                "hash": 0,
            ]
        )
    }
}

extension ChatReading.Query {
    /// Returns the method and its parameters.
    func call(_ chat: ChatFacts) -> (method: String, parameters: JSONObject) {
        switch self {
        case .page(let id, let date): ("messages.getHistory", Self.window(chat, id, date, ChatReading.pageSize))
        case .newest: ("messages.getHistory", Self.window(chat, 0, 0, 1))
        case .messages(let ids):
            (
                chat.isShared ? "channels.getMessages" : "messages.getMessages",
                [
                    "channel": chat.isShared ? .integer(chat.id) : nil,
                    "id": .array(ids.map { ["_": "inputMessageID", "id": .integer($0)] }),
                ]
            )
        }
    }

    private static func window(_ chat: ChatFacts, _ id: Int64, _ date: Int64, _ limit: Int64) -> JSONObject {
        [
            "peer": .integer(chat.id), "offset_id": .integer(id), "offset_date": .integer(date), "add_offset": 0,
            "limit": .integer(limit), "max_id": 0, "min_id": 0, "hash": 0,
        ]
    }
}
