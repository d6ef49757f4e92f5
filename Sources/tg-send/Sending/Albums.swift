import BotAPI
import Envelope
import JSON
import Payloads
import Redis
import Stage
import System

/// Collects the pictures of consecutive requests of a group into albums.
///
/// The first one whose turn it is waits a little for those that follow, sends all of them as one album, and notes in Redis that the
/// requests of the others have ended.
struct Albums: Sendable {
    let runtime: Runtime
    let shared: SharedState
    let groups: Groups
    let delivery: MediaDelivery

    /// The most files of an album.
    private static let mostFiles = 10
    /// The time for which a picture waits for those behind it.
    private static let patience = Duration.seconds(20)
    private static let lookAgain = Duration.milliseconds(500)

    /// Says how a result is sent.
    enum Turn: Sendable {
        case alone
        /// As the first of an album.
        case first([Member])
        /// Another one has sent it in its album.
        case sentByAnother
        /// This one has sent it before the process died, as the first of an album.
        case sentBefore
    }

    struct Member: Sendable {
        let item: Int64
        let media: DownloadReady
    }

    /// Returns how a job's media are sent, once it is their turn.
    ///
    /// - Throws: `NotBefore`: it is not, or others of the album may still come.
    func awaitTurn(of job: Job) async throws(NotBefore) -> Turn {
        guard let group = job.group, group.part == nil, case .media(let media) = job.content, media.kind == .image,
            job.context != nil
        else {
            try await groups.awaitTurn(of: job)
            return .alone
        }
        let isMember =
            !job.event.isWantedAsFile && ["photo", "video"].contains(MediaDelivery.field(for: media.metadata))
        let note = isMember ? JSON.object(media.json).text : ""
        if let sent = await shared.noteForAlbum(of: job, group, note)?.sent(group.item) { return sent }
        try await groups.awaitTurn(of: job)
        // Only in its turn is it certain that no other process sends it: one may have sent an album since the look above.
        let state = await shared.albumState(of: job)
        if let sent = state?.sent(group.item) { return sent }
        guard isMember, let state, !state.isOff else { return .alone }
        let (members, isComplete) = state.members(from: Member(item: group.item, media: media), group)
        if !isComplete, let made = Timestamp(job.event.timestamp),
            Timestamp.now.elapsed(since: made) < Albums.patience
        {
            throw NotBefore(.now + Albums.lookAgain, in: .stage)
        }
        return members.count > 1 ? .first(members) : .alone
    }

    /// Sends an album.
    ///
    /// - Returns: its result; nil if Telegram does not take these files together, so that each is sent alone.
    func send(_ members: [Member], for job: Job) async throws -> Envelope? {
        guard let group = job.group else { return nil }
        // The first one is noted, too: if this process dies before it has recorded that, it does not send the album again.
        let items = members.map(\.item)
        do {
            guard let event = try await delivery.deliver(album: members.map(\.media), for: job) else {
                await shared.endAlbums(of: job)
                return nil
            }
            try await wake(await shared.endItems(items, of: job, group))
            return event
        } catch let error as TelegramError where error.isOutcomeUnknown {
            // What may have been sent is not sent again.
            try await wake(await shared.endItems(items, of: job, group))
            throw error
        }
    }

    private func wake(_ waiters: [Waiter]) async throws {
        if !waiters.isEmpty { try await runtime.wake(waiters) }
    }

    /// Holds what Redis knows of a group: its pictures that are ready, and the requests that have ended.
    struct State: Sendable {
        fileprivate let ready: [String: String]
        fileprivate let ended: [String: String]

        /// Is true if an album of this group was refused.
        fileprivate var isOff: Bool { ready[SharedState.albumsOff] != nil }

        /// Returns how an item was sent; nil if it was not, or not in an album.
        fileprivate func sent(_ item: Int64) -> Turn? {
            switch ended["\(item)"] {
            case SharedState.sentInAlbum: .sentByAnother
            case SharedState.sentAsFirst: .sentBefore
            default: nil
            }
        }

        /// Returns the members of an album, and whether no other can join.
        fileprivate func members(from first: Member, _ group: EventGroup) -> ([Member], isComplete: Bool) {
            var members = [first]
            var item = first.item
            while members.count < Albums.mostFiles, item < group.count {
                item += 1
                // What failed leaves no gap.
                if ended["\(item)"] != nil { continue }
                guard let text = ready["\(item)"] else { return (members, false) }
                guard let payload = (try? JSON(parsing: text))?.object,
                    let media = try? DownloadReady(payload, type: DownloadReady.type(of: .image))
                else { break }
                members.append(Member(item: item, media: media))
            }
            return (members, true)
        }
    }
}

extension SharedState {
    /// The note of a request that was sent in the album of another one.
    fileprivate static let sentInAlbum = #"{"album":true}"#
    /// The note of a request that has sent an album, and has not ended yet.
    static let sentAsFirst = #"{"album":true,"first":true}"#
    fileprivate static let albumsOff = "off"

    /// Notes that a result of a group is ready.
    ///
    /// - Parameter note: the payload of its event; empty for one that cannot be in an album.
    /// - Returns: nil without Redis.
    fileprivate func noteForAlbum(of job: Job, _ group: EventGroup, _ note: String) async -> Albums.State? {
        let (album, ended) = (groupKey(job, "album"), groupKey(job, "ended"))
        let answers = await attempt { redis throws(RedisError) in
            try await redis.transaction([
                ["HSET", .text(album), .integer(group.item), .text(note)],
                ["EXPIRE", .text(album), .integer(SharedState.groupSeconds)],
                ["HGETALL", .text(album)], ["HGETALL", .text(ended)],
            ])
        }
        guard let answers, answers.count == 4 else { return nil }
        return Albums.State(ready: SharedState.pairs(answers[2]), ended: SharedState.pairs(answers[3]))
    }

    /// Returns what is known of the albums of a job's group; nil without Redis.
    fileprivate func albumState(of job: Job) async -> Albums.State? {
        let answers = await attempt { redis throws(RedisError) in
            try await redis.transaction(["album", "ended"].map { ["HGETALL", .text(groupKey(job, $0))] })
        }
        guard let answers, answers.count == 2 else { return nil }
        return Albums.State(ready: SharedState.pairs(answers[0]), ended: SharedState.pairs(answers[1]))
    }

    private static func pairs(_ value: RedisValue) -> [String: String] {
        let rows = value.array ?? []
        var found: [String: String] = [:]
        for index in stride(from: 0, to: rows.count - 1, by: 2) {
            if let key = rows[index].string, let text = rows[index + 1].string { found[key] = text }
        }
        return found
    }

    /// Notes that requests of a group were sent in the album of a job's.
    ///
    /// - Returns: their events, which wait, except that of the job.
    fileprivate func endItems(_ items: [Int64], of job: Job, _ group: EventGroup) async -> [Waiter] {
        guard !items.isEmpty else { return [] }
        let ended = groupKey(job, "ended")
        let notes = items.flatMap { item -> [RedisArgument] in
            [.integer(item), .text(item == group.item ? SharedState.sentAsFirst : SharedState.sentInAlbum)]
        }
        let commands: [[RedisArgument]] =
            [["HSET", .text(ended)] + notes, ["EXPIRE", .text(ended), .integer(SharedState.groupSeconds)]]
            + items.filter { $0 != group.item }.map { ["LRANGE", .text(groupKey(job, "waiters:\($0)")), 0, -1] }
        let answers = await attempt { redis throws(RedisError) in try await redis.transaction(commands) }
        return (answers ?? []).dropFirst(2).flatMap { ($0.array ?? []).compactMap(\.string) }
            .map { Waiter(rawValue: $0) }
    }

    /// Notes that Telegram has refused an album of a group.
    fileprivate func endAlbums(of job: Job) async {
        let album = groupKey(job, "album")
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("HSET", .text(album), .text(SharedState.albumsOff), 1)
        }
    }
}
