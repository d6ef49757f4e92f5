import BotAPI
import Envelope
import Glibc
import JSON
import Logging
import Payloads
import Stage
import System

/// Sends what the options ask for, without a scheduler: a single message has nothing to be ordered with.
struct SingleMessage: Sendable {
    /// More text than this is no message. It could be a document.
    private static let mostInputBytes = 16 << 20

    let runtime: Runtime
    let api: any MessagingAPI
    let retries: Int

    /// Makes the calls, waits as long as Telegram requires, and writes the results.
    ///
    /// Results name no cause: the commands are never published.
    ///
    /// - Throws: `TelegramError` when no attempt is left; `ToolError` for an unusable text or file; `CancellationError` at a
    ///   shutdown.
    func send(_ options: SingleOptions, to output: EventOutput) async throws -> ExitStatus {
        let input = options.readsText ? try await reading { try await readText() } : nil
        var (commands, file) = try options.commands(input: input)
        defer { withExtendedLifetime(file) {} }
        let report = options.print ?? (isatty(STDOUT_FILENO) == 1 ? .link : .json)
        let count = commands.count
        var index = 0
        while index < commands.count {
            let sent: Envelope
            do { sent = try await send(commands[index], to: output) } catch {
                if let error = error as? TelegramError, error.isOutcomeUnknown {
                    runtime.log.warning("the message may have been sent: look at the chat before you repeat it")
                }
                if index > 0 {
                    runtime.log.error("\(min(index, count)) of \(count) messages were sent, and not the rest")
                }
                throw error
            }
            if index == 0, options.pin {
                guard let id = sent.payload["message_id"]?.int else {
                    throw ToolError(
                        .bug, "the message was sent, but Telegram did not return its id, so it is not pinned")
                }
                commands.append(TelegramCommand(.pin(messageID: id), chat: commands[0].chat))
            }
            try await write(sent, as: report, of: commands[index], to: output)
            index += 1
        }
        return .success
    }

    private func write(
        _ sent: Envelope, as report: SingleOptions.Report, of command: TelegramCommand, to output: EventOutput
    ) async throws {
        switch report {
        case .json: try await output.write([sent])
        case .link:
            guard command.action != .pin, command.action != .delete, let link = MessageLink(sent, to: command.chat)
            else {
                return
            }
            let failure = Array("\(link.text)\n".utf8).withUnsafeBytes { writeAll(STDOUT_FILENO, $0) }
            guard failure == 0 else { throw ToolError.localIO("unable to write to standard output", errno: failure) }
        case .none: break
        }
    }

    /// Runs `body`, which may wait for input for ever. Nothing was sent yet, so a signal ends the program at once.
    private func reading<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let shutdown = runtime.shutdown
        let watcher = Task {
            await shutdown.wait()
            if shutdown.isRequested, !Task.isCancelled { _exit(128 + shutdown.endingSignal) }
        }
        defer { watcher.cancel() }
        return try await body()
    }

    /// Reads the text of standard input. Bytes that are not UTF-8 become replacement characters.
    private func readText() async throws -> String {
        if isatty(STDIN_FILENO) == 1 {
            runtime.log.notice("reading the text from standard input: Ctrl-D ends it, Ctrl-C gives up")
        }
        let bytes = try await BlockingThread.once { () throws(ToolError) in
            guard let bytes = readAll(STDIN_FILENO, atMost: SingleMessage.mostInputBytes + 1) else {
                throw ToolError.localIO("unable to read standard input")
            }
            return bytes
        }
        guard bytes.count <= SingleMessage.mostInputBytes else {
            throw ToolError(.usage, "standard input has more than 16 MB: send it as a file, with --document -")
        }
        // The line end that programs write behind their last line belongs to no message.
        var text = String(decoding: bytes, as: UTF8.self)
        while text.last?.isNewline == true { text.removeLast() }
        return text
    }

    private func send(_ command: TelegramCommand, to output: EventOutput) async throws -> Envelope {
        let (command, given) = try await reading { try await withReadableFiles(command) }
        // The copies of pipes exist as long as these objects.
        defer { withExtendedLifetime(given) {} }
        let event = Envelope(command)
        let job: Job
        do throws(MalformedInput) { job = try Job(event) } catch { throw ToolError(.usage, error.reason) }
        let commands = CommandSender(
            runtime: runtime, api: api,
            messages: NewMessages(
                runtime: runtime, api: api,
                shared: SharedState(runtime: runtime, redis: nil, speakerID: api.speakerID)))
        var attempts = 0
        let backoff = Backoff(first: .seconds(1), longest: .seconds(32))
        return try await runtime.handling(event, causedBy: Correlation(correlationID: event.correlationID)) {
            while !runtime.shutdown.isRequested {
                do {
                    return try await commands.send(job)
                } catch let error as TelegramError
                    where error.isTransient && !error.isOutcomeUnknown && attempts < retries
                {
                    attempts += 1
                    let wait = error.retryAfter ?? backoff.pause(after: attempts)
                    runtime.log.warning("\(error.message); trying again in \(wait.spanText)")
                    if let report = error.waitingReport(speaker: api.speakerID, chat: job.chat) {
                        try await output.write([report])
                    }
                    _ = try await runtime.shutdown.interrupting { try await Task.sleep(for: wait) }
                }
            }
            throw CancellationError()
        }
    }

    /// Returns a command whose files can be read again after a failed attempt, also if the user gave pipes.
    private func withReadableFiles(_ command: TelegramCommand) async throws -> (TelegramCommand, [GivenFile]) {
        var command = command
        var given: [GivenFile] = []
        func readable(_ file: FileMessage) async throws -> FileMessage {
            guard case .path(let path) = file.source else { return file }
            if path == "/dev/stdin", isatty(STDIN_FILENO) == 1 {
                runtime.log.notice("reading the file from standard input: Ctrl-D ends it, Ctrl-C gives up")
            }
            let opened = try await BlockingThread.once { () throws(ToolError) in try GivenFile(path) }
            given.append(opened)
            var file = file
            file.source = .path(opened.path)
            file.fileName = file.fileName ?? opened.name ?? file.kind.rawValue
            return file
        }
        switch command.body {
        case .file(let file): command.body = .file(try await readable(file))
        case .album(let files):
            var all: [FileMessage] = []
            for file in files { all.append(try await readable(file)) }
            command.body = .album(all)
        default: break
        }
        return (command, given)
    }
}

/// The link of a message: of a public chat by its name, else one that only members, or apps of Telegram, can open.
struct MessageLink {
    let text: String

    /// - Parameters:
    ///   - sent: `events.telegram.sent`.
    ///   - chat: the chat as the user named it.
    /// - Returns: nil for an event that names no message.
    init?(_ sent: Envelope, to chat: ChatID?) {
        guard let message = sent.payload["message_id"]?.int else { return nil }
        let id = sent.payload["chat_id"]?.int
        // The name of a user leads to the user, not to a message.
        if case .name(let name)? = chat, name.hasPrefix("@"), id ?? -1 < 0 {
            text = "https://t.me/\(name.dropFirst())/\(message)"
        } else if let id {
            text =
                id < -1_000_000_000_000
                ? "https://t.me/c/\(-1_000_000_000_000 - id)/\(message)"
                : "tg://openmessage?\(id < 0 ? "chat_id" : "user_id")=\(id.magnitude)&message_id=\(message)"
        } else {
            return nil
        }
    }
}
