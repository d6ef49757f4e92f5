import BotAPI
import Envelope
import JSON
import Logging
import Options
import Payloads
import Redis
import Stage
import System

/// Turns selected messages into commands, each message once.
struct WatchStage: Sendable {
    let runtime: Runtime
    let conditions: Conditions
    let actions: Actions
    /// The id of the target that the user names by its `@name`, if it was looked up.
    private let targetID: Int64?
    /// The time since which this process reads messages.
    private let start = ContinuousClock.now

    /// The time for which a message is known as done, in seconds.
    private static let rememberedFor: Int64 = 90 * 86_400

    init(runtime: Runtime, conditions: Conditions, actions: Actions, targetID: Int64? = nil) {
        (self.runtime, self.conditions, self.actions, self.targetID) = (runtime, conditions, actions, targetID)
    }

    func selects(_ event: Envelope) -> Bool { message(event)?.meets(conditions) ?? false }

    private func message(_ event: Envelope) -> WatchedMessage? {
        // What a program of the account has sent is no message to act on: two watchers would answer each other for ever.
        guard !event.isSentByProgram, let message = WatchedMessage(event), message.isFrom(conditions) else {
            return nil
        }
        return message
    }

    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        guard let message = message(event), !isTarget(message, event) else { return .done([]) }
        var commands: [Envelope] = []
        let isSelected = message.meets(conditions)
        if actions.download, isSelected, let file = message.file, try await isFirst(message, event, "download") {
            let kind: MediaKind = ["audio", "voice"].contains(file.type ?? "") ? .audio : .video
            var command = Envelope.derived(MediaDownload(kind: kind, source: .file(file)))
            command.source = EventSource(message: message.message.json)
            commands.append(command)
        }
        // Of an album, the messages together decide.
        guard let target, isSelected || message.albumID != nil else { return .done(commands) }
        guard message.hasContent || !message.isProtected else {
            runtime.log.notice(
                "not forwarded: the chat forbids it, and the message is neither a text nor a file",
                metadata: notes(message))
            return .done(commands)
        }
        guard try await isFirst(message, event, "to:\(place)") else { return .done(commands) }
        guard let album = message.albumID else { return .done(commands + [command([message], target)]) }
        switch try await Album(runtime, "\(message.message.chatID):\(album)", place).join(
            message.entry, event, wait: actions.albumWait.duration, readingFor: .now - start,
            others: { try await context.lease?.othersInWork() ?? [] })
        {
        case .wait(let time): return .held(for: time)
        case .isPart: return .done(commands)
        case .whole(let entries):
            let messages = entries.compactMap { WatchedMessage(entry: $0) }.sorted { $0.message.id < $1.message.id }
            guard messages.meet(conditions) else { return .done(commands) }
            // Telegram forwards at most 100 messages at once, and an album has at most 10.
            return .done(commands + [command(Array(messages.prefix(10)), target)])
        }
    }

    /// The chat to which messages are sent.
    private var target: ChatID? { targetID.map { .id($0) } ?? actions.target }

    /// The name of the target in keys of Redis: that which the user gives, also if its id is known, so that what was done before counts.
    private var place: String {
        "\(actions.target?.description.lowercased() ?? "")\(actions.thread.map { ":\($0)" } ?? "")"
    }

    /// Returns whether a message is in the chat to which messages are sent, or came from there: forwarding it would never end.
    private func isTarget(_ message: WatchedMessage, _ event: Envelope) -> Bool {
        let origin = message.message.json["forward_origin"]
        if let id = target?.number, [origin?["chat"]?["id"]?.int, origin?["sender_chat"]?["id"]?.int].contains(id) {
            return true
        }
        switch target {
        case .id(let id): return id == message.message.chatID
        case .name("me"): return event.account?.id == message.message.chatID
        case .name(let name):
            let username = message.message.json["chat"]?["username"]?.string
            return username.map { "@\($0.lowercased())" == name.lowercased() } ?? false
        case nil: return false
        }
    }

    private func notes(_ message: WatchedMessage) -> Logger.Metadata {
        [
            "chat_id": .stringConvertible(message.message.chatID),
            "message_id": .stringConvertible(message.message.id),
        ]
    }

    // MARK: Commands

    /// Returns the command for a message, or for the messages of an album.
    ///
    /// - Parameter messages: at least one.
    private func command(_ messages: [WatchedMessage], _ target: ChatID) -> Envelope {
        let options = MessageOptions(threadID: actions.thread, isSilent: actions.silent)
        guard messages.contains(where: \.isProtected) else {
            let source = ChatID.id(messages[0].message.chatID)
            let forwarded = ForwardedMessages(
                source, messages.map(\.message.id), asCopies: actions.copy != nil, options)
            return .derived(TelegramCommand(.forward(forwarded), chat: target))
        }
        let files = messages.compactMap { message in message.file.map { file(message, $0, options) } }
        switch files.count {
        case 0:
            let text = text(of: messages[0], limit: 4096)
            return .derived(TelegramCommand(.send(TextMessage(text, options)), chat: target))
        case 1: return .derived(TelegramCommand(.file(files[0]), chat: target))
        default: return .derived(TelegramCommand(.album(files), chat: target))
        }
    }

    private func file(_ message: WatchedMessage, _ file: TelegramFile, _ options: MessageOptions) -> FileMessage {
        let kind: FileMessage.Kind =
            file.type == "video_note" ? .video : file.type.flatMap { .init(rawValue: $0) } ?? .document
        var new = FileMessage(
            kind, .fileID(file.id), caption: text(of: message, limit: 1024), options, fileName: file.name,
            contentType: file.mimeType,
            description: MediaDescription(
                title: file.title, performer: file.performer, durationSeconds: file.durationSeconds, width: file.width,
                height: file.height))
        new.reuploads = true
        return new
    }

    /// Returns the text of a message, and where it comes from unless copies are wanted.
    ///
    /// - Parameter limit: the most UTF-16 units that Telegram takes; of a longer text, the end is left out before the link.
    private func text(of message: WatchedMessage, limit: Int) -> String {
        let text = message.message.text ?? ""
        guard actions.copy == nil else { return text }
        let title = message.message.json["chat"]?["title"]?.string ?? ""
        let origin = [title, message.link].filter { !$0.isEmpty }.joined(separator: " — ")
        let room = max(0, limit - origin.utf16.count - 2)
        return [text.limited(toUTF16: room), origin].filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    // MARK: Once

    /// Returns whether no other event has brought the message for an action. The same event may come again after a crash.
    private func isFirst(_ message: WatchedMessage, _ event: Envelope, _ action: String) async throws -> Bool {
        let key = RedisArgument.text("tgpipe:watched:{\(message.message.chatID)}:\(message.message.id):\(action)")
        let id = event.id.description
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            let noted = try await redis.send("SET", key, .text(id), "NX", "EX", .integer(WatchStage.rememberedFor))
            if !noted.isNull { return true }
            return try await redis.send("GET", key).string == id
        }
    }
}

/// Collects the messages of an album, which arrive one after the other, in Redis: any of the processes may get each of them.
///
/// An album is whole when none of its messages has come for a while. That says nothing as long as messages lie with a process that died,
/// or in a queue that nobody has read: a process that has just started waits as if the last message had just come, and what was taken
/// from the queue before must be finished, by whomever.
private struct Album {
    enum Place {
        /// The event that acts for the album waits for further messages.
        case wait(Duration)
        /// Another event acts for the album.
        case isPart
        /// All messages that have come, in the form of `WatchedMessage.entry`.
        case whole([String])
    }

    private let runtime: Runtime
    private let key: String

    init(_ runtime: Runtime, _ album: String, _ target: String) {
        self.runtime = runtime
        key = "tgpipe:{album:\(album)}:\(target)"
    }

    /// The longest time for which an album waits for messages that were taken and not finished.
    private static let longestWait = Duration.seconds(120)
    /// Stands for events that have not been asked for.
    private static let unknown = "?"

    /// Adds a message to the album.
    ///
    /// - Parameters:
    ///   - wait: the time in which no message must have come.
    ///   - age: the time for which this process has been reading messages.
    ///   - others: returns the ids of the other events that were taken from the queue and are not finished. It reads much of the queue,
    ///     and is called only if the time without a message is over.
    func join(
        _ entry: String, _ event: Envelope, wait: Duration, readingFor age: Duration,
        others: () async throws -> [String]
    ) async throws -> Place {
        let place = try await join(entry, event, wait: wait, readingFor: age, known: nil)
        if let place { return place }
        // A message that arrives after this question starts the time again.
        let known = try await others()
        return try await join(entry, event, wait: wait, readingFor: age, known: known) ?? .isPart
    }

    /// - Parameter known: the other events that are not finished; nil if they have not been asked for.
    /// - Returns: nil if they must be known.
    private func join(
        _ entry: String, _ event: Envelope, wait: Duration, readingFor age: Duration, known: [String]?
    ) async throws -> Place? {
        // Two albums that look for each other's messages at the same moments would wait for each other.
        let pause = Int64.random(in: 100...300)
        let others = known?.joined(separator: " ") ?? Album.unknown
        let answer = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.run(
                Album.joining, keys: ["\(key):members", "\(key):state"],
                arguments: [
                    .text(event.id.description), .text(entry), .integer(max(1, wait.milliseconds)),
                    .integer(age.milliseconds), .text(others), .integer(pause),
                    .integer(Album.longestWait.milliseconds),
                ])
        }
        guard let answer = answer.array, let rest = answer.first?.int else { return .isPart }
        switch rest {
        case -2: return nil
        case ..<0: return .isPart
        case 0: return .whole(answer.dropFirst().compactMap(\.string))
        default: return .wait(.milliseconds(rest))
        }
    }

    /// Adds a message. The first event acts for the album once no message has come for a while; one that comes later than that acts for
    /// itself. Arguments: the event, the message, the time to wait in ms, the time for which the process has been reading in ms, the events
    /// that were taken and are not finished or `?`, the pause until these are looked at again in ms, the longest wait for them in ms.
    /// Returns the rest of the time to wait, 0 and all messages for the event that acts, -1 for others, or -2 if the unfinished events must
    /// be known.
    private static let joining = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local members, state, event = KEYS[1], KEYS[2], ARGV[1]
        local leader, done = redis.call('HGET', state, 'leader'), redis.call('HGET', state, 'done')
        if not leader then
          redis.call('HSET', state, 'leader', event)
          leader = event
        end
        if leader ~= event and done and redis.call('HEXISTS', members, event) == 0 then return {0, ARGV[2]} end
        if not done and redis.call('HSET', members, event, ARGV[2]) == 1 then
          redis.call('HSET', state, 'changed', now)
          redis.call('HDEL', state, 'open', 'asked')
        end
        redis.call('EXPIRE', members, 86400)
        redis.call('EXPIRE', state, 86400)
        if leader ~= event then return {-1} end
        -- The clock of another server may be behind.
        local quiet = math.min(now - (redis.call('HGET', state, 'changed') or now), tonumber(ARGV[4]))
        local rest = math.min(tonumber(ARGV[3]), ARGV[3] - quiet)
        if not done and rest > 0 then return {rest} end
        if not done and ARGV[5] == '?' then return {-2} end
        -- Of the events that were in work at the first look after the quiet time, those that are still.
        local before, asked, open = redis.call('HGET', state, 'open'), tonumber(redis.call('HGET', state, 'asked') or now), {}
        local known = {}
        for id in (before or ''):gmatch('%S+') do known[id] = true end
        for id in ARGV[5]:gmatch('%S+') do
          if not before or known[id] then open[#open + 1] = id end
        end
        -- The clock of another server may be behind.
        asked = math.min(asked, now)
        if not done and #open > 0 and now - asked < tonumber(ARGV[7]) then
          redis.call('HSET', state, 'open', table.concat(open, ' '), 'asked', asked)
          return {tonumber(ARGV[6])}
        end
        redis.call('HSET', state, 'done', 1)
        local out = redis.call('HVALS', members)
        table.insert(out, 1, 0)
        return out
        """)
}

extension WatchedMessage {
    /// The message as a text that an album keeps in Redis.
    fileprivate var entry: String { message.json.text }

    fileprivate init?(entry: String) {
        guard let json = try? JSON(parsing: entry) else { return nil }
        self.init(Envelope(HistoryMessage(kind: "message", body: json)))
    }
}
