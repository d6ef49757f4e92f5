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
    let limitBytes: Int64?
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
        if event.type == TelegramUpdate.type { return .done(try await take(event) ?? [event]) }
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
        guard event.bot != nil, !event.isRateLimited, download.source.url != nil, download.kind != .image,
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
        guard let offered = await offered(download) else { return .done([event.asking(download.unasked)]) }
        let language = event.actor?.language
        let rows = Question(texts: texts, language: language, limitBytes: limitBytes)
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
        try await choices.ask(pending)
        try await context.publisher.publish(.derived(question(rows, offered, bond, download.kind, language)))
        runtime.log.info("asking for the form", metadata: ["options": .stringConvertible(options.count)])
        return await held(event, context, for: wait) ?? .done([cancelled(download)])
    }

    private func offered(_ download: MediaDownload) async -> MediaChoices? {
        guard let url = download.source.url else { return nil }
        do throws(MediaError) {
            return try await fetcher.choices(try await fetcher.identify(url))
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
        let title = offered.title.map { "\(Direction.isolated($0))\n" } ?? ""
        let words = texts.text("choice_question", language, ["count": .number(wait.components.seconds)])
        return MediaProgress(.choosing, kind: kind, text: title + words, buttons: buttons)
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
        var option = try await choices.answered(event.id)
        if option == nil {
            let left = asked.bond.expires - Timestamp.now.microseconds / 1_000_000
            if left > 0 {
                let rest = Duration.seconds(min(left, wait.components.seconds))
                return await held(event, context, for: rest) ?? .done([cancelled(download)])
            }
            // A press at this moment counts if it came first.
            option = try await choices.answer(event.id, 0).option
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
        let result = try await result(of: payload.body, data)
        runtime.log.info("a button was pressed: \(result.rawValue)")
        let text = texts.text("choice_\(result.rawValue)", event.actor?.language)
        return [.derived(TelegramCommand(.answer(callbackID: id, text: text)))]
    }

    /// The ends of a press, which are the ends of the keys of their texts.
    private enum Result: String {
        case taken, made, over
        case notYours = "not_yours"
    }

    private func result(of query: JSON, _ data: String) async throws -> Result {
        guard let press = ChoiceKey.Press(data), let asked = try await choices.question(press.request),
            choices.key.signed(press, asked.bond), press.option < asked.forms.count,
            query["message"]?["chat"]?["id"]?.int == asked.bond.chat
        else { return .over }
        guard query["from"]?["id"]?.int == asked.bond.user else { return .notYours }
        // The keyboard answers the person's message, unless that was deleted.
        if let message = query["message"]?["reply_to_message"]?["message_id"]?.int, message != asked.bond.message {
            return .over
        }
        if try await choices.answered(press.request) != nil { return .made }
        guard asked.bond.expires >= Timestamp.now.microseconds / 1_000_000 else { return .over }
        guard try await choices.answer(press.request, press.option).isNew else { return .made }
        try await runtime.wake([Waiter(rawValue: asked.waiter)])
        return .taken
    }
}

extension MediaDownload {
    /// The request as it is after the question.
    fileprivate var unasked: MediaDownload { MediaDownload(kind: kind, source: source, variant: variant, items: items) }
}

extension Envelope {
    /// Returns this event with another request, or unchanged if that is the same.
    fileprivate func asking(_ download: MediaDownload) -> Envelope {
        if type == download.type, payload == download.json { return self }
        return .derived(download)
    }
}
