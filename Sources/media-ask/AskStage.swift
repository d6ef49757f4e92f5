import AccountAPI
import BotAPI
import ChatCommands
import Envelope
import JSON
import Logging
import Media
import Payloads
import Redis
import Stage
import System
import Texts

/// Asks for the form of media, and takes the answers.
///
/// A request that was asked about is held until its answer comes, or its time is over. The question and the answer are in Redis, so
/// that a request from a queue that another process takes over is not asked about twice.
struct AskStage: Sendable {
    let runtime: Runtime
    let texts: Texts
    let fetcher: MediaFetcher
    let choices: PendingChoices
    let cancellations: CancellationNotes
    /// The size above which a form is marked; nil for what can be sent.
    let maxBytes: Int64?
    let uploadLimit: UploadLimit
    let wait: Duration
    /// Is true if requests are asked about unless the person or the group has decided otherwise.
    let asksAlways: Bool

    @Sendable func accepts(_ type: String) -> Bool {
        type == TelegramUpdate.type || MediaDownload.types.contains(type)
    }

    /// Returns the request of an event that the tool cannot ask about any more: it goes on with the best form.
    @Sendable func giveUp(_ event: Envelope, _ reason: String) -> [Envelope] {
        guard let download = try? MediaDownload(event) else { return [event] }
        return [event.asking(download.unasked)]
    }

    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        if event.type == TelegramUpdate.type {
            if let answers = try await take(event) { return .done(answers) }
            return .done(try await takeNumber(event) ?? [event])
        }
        let download = try MediaDownload(event)
        if await cancellations.isCancelled(event) { return .done([cancelled(download)]) }
        if let asked = try await choices.question(event.id) {
            return try await proceed(with: asked, download, event, context)
        }
        guard let bond = try await bond(of: event, download) else {
            return .done([event.asking(download.unasked)])
        }
        return try await ask(download, event, bond, context)
    }

    // MARK: Questions

    /// Returns what the question's buttons are bound to; nil for a request that is not asked about.
    private func bond(of event: Envelope, _ download: MediaDownload) async throws -> ChoiceKey.Bond? {
        guard event.bot != nil || event.account != nil, !event.isRateLimited, download.source.url != nil,
            download.kind != .image,
            let user = event.actor?.id,
            let chat = event.origin?.chat?.number, let message = event.origin?.messageID
        else { return nil }
        if download.asks != true {
            // Words in the command are an answer already; sound was chosen by the command.
            guard download.asks == nil, download.variant.isStandard, download.kind == .video, download.items == nil,
                try await choices.wantsQuestions(user: user, chat: chat) ?? asksAlways
            else { return nil }
        }
        let expires = Timestamp.now.microseconds / 1_000_000 + wait.components.seconds
        return ChoiceKey.Bond(request: event.id, user: user, chat: chat, message: message, expires: expires)
    }

    private func ask(
        _ download: MediaDownload, _ event: Envelope, _ bond: ChoiceKey.Bond, _ context: WorkContext
    ) async throws -> Outcome {
        try await context.publisher.publish(.derived(MediaProgress(.accepted, kind: download.kind)))
        guard let offered = await offered(download, event) else { return .done([event.asking(download.unasked)]) }
        let language = event.actor?.language
        var limit = maxBytes
        if limit == nil { limit = await uploadLimit.bytes() }
        let rows = Question(texts: texts, language: language, limitBytes: limit)
            .rows(
                offered, download.variant, sound: try await choices.preferences(of: bond.user).audioFormat,
                offersFile: !event.isWantedAsFile)
        let options = rows.flatMap { $0 }
        guard options.count > 1 else { return .done([event.asking(download.unasked)]) }
        let bond = ChoiceKey.Bond(
            request: bond.request, user: bond.user, chat: bond.chat, message: bond.message,
            expires: Timestamp.now.microseconds / 1_000_000 + wait.components.seconds)
        let pending = PendingChoice(
            bond, options.map(\.form), waiter: context.waiter.rawValue)
        // An account can show no buttons.
        let isByNumber = event.bot == nil
        try await choices.ask(pending, isByNumber: isByNumber)
        let question =
            isByNumber
            ? list(options, offered, download.kind, language) : question(rows, offered, bond, download.kind, language)
        try await context.publisher.publish(.derived(question))
        runtime.log.info("asking for the form", metadata: ["options": .stringConvertible(options.count)])
        return await held(event, context, for: wait) ?? .done([cancelled(download)])
    }

    private func offered(_ download: MediaDownload, _ event: Envelope) async -> MediaChoices? {
        guard let url = download.source.url else { return nil }
        do throws(MediaError) {
            let identity = try await fetcher.identify(url)
            if !event.isOfOperator, fetcher.isAccountPage(identity, asList: false) { throw .accountPage }
            return try await fetcher.choices(identity, readsAccountPages: event.isOfOperator)
        } catch {
            // The stage that fetches tells the person why it cannot.
            runtime.log.notice("unable to find out what there is: \(error.reason)")
            return nil
        }
    }

    private func question(
        _ rows: [[ChoiceOption]], _ offered: MediaChoices, _ bond: ChoiceKey.Bond, _ kind: MediaKind,
        _ language: String?
    ) -> MediaProgress {
        var number = 0
        let buttons = rows.map { row in
            row.map { option in
                defer { number += 1 }
                return ChoiceButton(option.label, data: choices.key.data(bond, option: number))
            }
        }
        return MediaProgress(
            .choosing, kind: kind, text: Question.heading(offered.title) + words(language), buttons: buttons)
    }

    /// Returns a question whose answer is a number.
    private func list(
        _ options: [ChoiceOption], _ offered: MediaChoices, _ kind: MediaKind, _ language: String?
    ) -> MediaProgress {
        let lines = options.enumerated().map { "\($0.offset + 1). \($0.element.label)\n" }.joined()
        let howTo = texts.text("choice_by_number", language)
        return MediaProgress(
            .choosing, kind: kind, text: "\(Question.heading(offered.title))\(lines)\(words(language))\n\(howTo)")
    }

    private func words(_ language: String?) -> String {
        texts.text("choice_question", language, ["count": .number(wait.components.seconds)])
    }

    // MARK: Cancelling

    /// Holds a request, which a cancellation wakes; returns nil if it was cancelled already.
    private func held(_ event: Envelope, _ context: WorkContext, for limit: Duration) async -> Outcome? {
        let request = CancellationNotes.Request(event)
        return await cancellations.isCancelled(request, heldBy: context.waiter, limit) ? nil : .held(for: limit)
    }

    private func cancelled(_ download: MediaDownload) -> Envelope {
        .derived(
            DownloadFailed(
                kind: download.kind, url: download.source.url, code: MediaError.cancelledByUser.code.rawValue,
                reason: MediaError.cancelledByUser.reason, isTransient: false))
    }

    // MARK: Answers

    /// Continues with a request that was asked about.
    private func proceed(
        with asked: PendingChoice, _ download: MediaDownload, _ event: Envelope, _ context: WorkContext
    ) async throws -> Outcome {
        var option = try await choices.answer(of: event.id)?.option
        if option == nil {
            let left = asked.bond.expires - Timestamp.now.microseconds / 1_000_000
            if left > 0 {
                let rest = Duration.seconds(min(left, wait.components.seconds))
                return await held(event, context, for: rest) ?? .done([cancelled(download)])
            }
            // A press at this moment counts if it came first.
            option = try await choices.answer(event.id, 0, by: "timeout").option
        }
        let form = asked.forms[min(max(0, option ?? 0), asked.forms.count - 1)]
        var chosen = event.asking(
            MediaDownload(kind: form.kind, source: download.source, variant: form.variant, items: download.items))
        if form.isFile { chosen.isWantedAsFile = true }
        return .done([chosen])
    }

    /// Takes the press of a button.
    ///
    /// - Returns: the answer to the press; nil for an update that is none of this stage's.
    private func take(_ event: Envelope) async throws -> [Envelope]? {
        guard let payload = try? TelegramUpdate(event), payload.kind == "callback_query",
            let data = payload.body["data"]?.string, let id = payload.body["id"]?.string, data.hasPrefix("c1:")
        else { return nil }
        let result = try await result(of: payload.body, data, by: event.id.description)
        runtime.log.info("a button was pressed: \(result.rawValue)")
        let text = texts.text("choice_\(result.rawValue)", event.actor?.language)
        return [.derived(TelegramCommand(.answer(callbackID: id, text: text)))]
    }

    /// Takes a number that answers the last question that an account has asked in the chat.
    ///
    /// - Returns: a reaction, or a text if the list has no such number; nil for a message that answers no question.
    private func takeNumber(_ event: Envelope) async throws -> [Envelope]? {
        guard event.account != nil, !event.isSentByProgram, let payload = try? TelegramUpdate(event),
            case let update = Update(kind: payload.kind, body: payload.body), update.isNewMessage,
            let message = update.message, let number = message.text.flatMap(WrittenNumber.of),
            let user = event.actor?.id, message.repliedTo.map({ $0.author?.id == event.account?.id }) ?? true,
            let request = try await choices.open(user: user, chat: message.chatID),
            let asked = try await choices.question(request)
        else { return nil }
        // The event itself may have answered before a crash.
        let earlier = try await choices.answer(of: request)
        guard earlier == nil || earlier?.source == event.id.description else { return nil }
        guard number <= asked.forms.count else {
            let text = texts.text(
                "choice_no_number", event.actor?.language, ["last": .number(Int64(asked.forms.count))])
            return [.derived(TelegramCommand(.reply(TextMessage(text))))]
        }
        let isInTime = asked.bond.expires >= Timestamp.now.microseconds / 1_000_000
        guard isInTime || earlier != nil,
            try await choices.answer(request, number - 1, by: event.id.description).isOwn
        else { return nil }
        runtime.log.info("a number was chosen")
        try await runtime.wake([Waiter(rawValue: asked.waiter)])
        return [.derived(TelegramCommand(.react(emoji: "👍", messageID: nil)))]
    }

    /// The ends of a press, which are the ends of the keys of their texts.
    private enum Result: String {
        case taken, made, over
        case notYours = "not_yours"
    }

    /// - Parameter source: names the press. The same press may come again, after a crash or because Redis did not confirm the answer.
    private func result(of query: JSON, _ data: String, by source: String) async throws -> Result {
        guard let press = ChoiceKey.Press(data), let asked = try await choices.question(press.request),
            choices.key.signed(press, asked.bond), press.option < asked.forms.count,
            query["message"]?["chat"]?["id"]?.int == asked.bond.chat
        else { return .over }
        guard query["from"]?["id"]?.int == asked.bond.user else { return .notYours }
        // The keyboard answers the person's message, unless that was deleted.
        if let message = query["message"]?["reply_to_message"]?["message_id"]?.int, message != asked.bond.message {
            return .over
        }
        if let earlier = try await choices.answer(of: press.request) {
            guard earlier.source == source else { return .made }
        } else {
            guard asked.bond.expires >= Timestamp.now.microseconds / 1_000_000 else { return .over }
            guard try await choices.answer(press.request, press.option, by: source).isOwn else { return .made }
        }
        try await runtime.wake([Waiter(rawValue: asked.waiter)])
        return .taken
    }
}

extension MediaDownload {
    /// The request as it is after the question.
    fileprivate var unasked: MediaDownload {
        var download = self
        download.asks = nil
        return download
    }
}

extension Envelope {
    /// Returns this event with another request, or unchanged if that is the same.
    fileprivate func asking(_ download: MediaDownload) -> Envelope {
        if type == download.type, payload == download.json { return self }
        return .derived(download)
    }
}
