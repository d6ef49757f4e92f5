import Crypto
import Glibc
import JSON
import Logging
import MTProto
import Synchronization
import System
import TL

/// Remembers which messages programs sent through a session, so that they can be told from what the account's owner writes
/// by hand.
///
/// A message is noted on disk before Telegram is asked to send it. Its id is noted before the listeners get its update. If a
/// message's id never became known, because the process or the connection ended, the message is recognised by its chat, its
/// text and its time.
final class SentMessages: Sendable {
    /// The longest time for which a question about a message waits for the calls that may have sent it.
    private static let patience = Duration.seconds(10)

    private let table: Mutex<SentTable>
    private let thread = BlockingThread()
    private let log: Logger
    private let hasWarned = Atomic(false)
    /// The calls whose results are not noted yet, by the chats that they send to.
    private let calls = Mutex<(last: Int, running: [Int: (chat: Int64, isDone: Promise<Void>)])>((0, [:]))

    /// Messages that a call in progress sends.
    struct Sending: Sendable {
        let call: Int
        let chat: Int64
        let rows: [Int64]
        /// Is true if the messages exist only later, under other ids than those in the call's result.
        let isScheduled: Bool
        /// The id of the message that the call edits.
        let edited: Int64?
    }

    /// - Parameter path: the file, `NAME.sent` beside the session, created with access for its owner only. A file that
    ///   cannot be read is replaced.
    /// - Throws: `AccountError`, `sessionIO`.
    init(path: String, log: Logger) throws(AccountError) {
        self.log = log
        let opened: SentTable
        do throws(AccountError) { opened = try SentTable(path) } catch  where error.code == .damaged {
            for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
            opened = try SentTable(path)
        }
        table = Mutex(opened)
    }

    /// Notes the messages that a call is about to send.
    ///
    /// - Parameter parameters: the call's parameters, with peers in their full form.
    /// - Returns: nil for a call that sends and edits none.
    func begin(_ method: String, _ parameters: JSONObject, own: Int64) async -> Sending? {
        let isEdit = method == "messages.editMessage"
        let items = parameters["multi_media"]?.array
        guard parameters["random_id"] != nil || items != nil || isEdit,
            let peer = parameters["to_peer"] ?? parameters["peer"],
            let chat = peer["_"] == "inputPeerSelf" ? own : PeerID(tl: peer)?.botAPI
        else { return nil }
        let (call, time) = (started(chat), Timestamp.now.microseconds / 1_000_000)
        let scheduled = parameters["schedule_date"]?.int
        let texts =
            isEdit
            ? []
            : items?.map { $0["message"]?.string }
                ?? Array(repeating: parameters["message"]?.string, count: parameters["random_id"]?.array?.count ?? 1)
        let messages = texts.map {
            PendingMessage(chat: chat, digest: SentMessages.digest($0), sentAt: scheduled ?? time)
        }
        let edited = isEdit ? parameters["id"]?.int : nil
        let rows = await noting([Int64]()) { table throws(AccountError) in
            let rows = try table.begin(messages)
            if let edited { try table.finish([], [MessageNumber(chat: chat, id: edited)], at: time) }
            return rows
        }
        return Sending(call: call, chat: chat, rows: rows, isScheduled: scheduled != nil, edited: edited)
    }

    /// Notes the ids of the messages that a call has sent.
    func end(_ sending: Sending?, _ answer: TLValue) async {
        guard let sending else { return }
        defer { ended(sending) }
        guard !sending.isScheduled, let answer = try? answer.json() else { return }
        let ids = SentMessages.numbers(in: answer, chat: sending.chat)
        await noting(()) { table throws(AccountError) in
            try table.finish(sending.rows, ids, at: Timestamp.now.microseconds / 1_000_000)
        }
    }

    /// Forgets the messages of a call that Telegram has refused. After other failures, the call may have been carried out.
    func end(_ sending: Sending?, failure: any Error) async {
        guard let sending else { return }
        defer { ended(sending) }
        // If the random_id is a duplicate, an earlier call has sent the message, and has noted it.
        guard let error = failure as? TelegramRPCError, !error.isTransient || error.wait != nil else { return }
        await noting(()) { table throws(AccountError) in try table.finish(sending.rows, [], at: 0) }
    }

    /// Returns whether a program sent a message through this session.
    ///
    /// - Parameter message: a `Message` of TL that the account wrote.
    func contains(_ message: JSON) async -> Bool {
        guard let seen = SeenMessage(message) else { return false }
        if await isNoted(seen.number) { return true }
        // The result of the call that sent it may still be on its way.
        let running = calls.withLock { $0.running.values.filter { $0.chat == seen.chat }.map(\.isDone) }
        if !running.isEmpty {
            await first({ for call in running { try? await call.value() } }) {
                try? await Task.sleep(for: SentMessages.patience)
            }
        }
        return await noting(true) { table throws(AccountError) in try table.contains(seen) }
    }

    private func isNoted(_ number: MessageNumber) async -> Bool {
        await noting(false) { table throws(AccountError) in try table.isNoted(number) }
    }

    private func started(_ chat: Int64) -> Int {
        calls.withLock { calls in
            calls.last += 1
            calls.running[calls.last] = (chat, Promise())
            return calls.last
        }
    }

    private func ended(_ sending: Sending) {
        calls.withLock { $0.running.removeValue(forKey: sending.call) }?.isDone.fulfil(.success(()))
    }

    /// Returns `fallback` if the database fails; the first failure is logged.
    private func noting<Value: Sendable>(
        _ fallback: Value, _ body: @escaping @Sendable (SentTable) throws(AccountError) -> Value
    ) async -> Value {
        let result = await thread.run { () -> Result<Value, AccountError> in
            self.table.withLock { table in
                do throws(AccountError) { return .success(try body(table)) } catch { return .failure(error) }
            }
        }
        switch result {
        case .success(let value): return value
        case .failure(let error):
            if !hasWarned.exchange(true, ordering: .relaxed) {
                log.warning(
                    "\(error.message); messages that programs send cannot be told from those of the owner's hand")
            }
            return fallback
        }
    }

    /// Returns the messages that an `Updates` object reports as sent.
    static func numbers(in answer: JSON, chat: Int64) -> [MessageNumber] {
        if answer["_"] == "updateShortSentMessage" {
            return answer["id"]?.int.map { [MessageNumber(chat: chat, id: $0)] } ?? []
        }
        let updates = answer["updates"]?.array ?? [answer["update"]].compactMap { $0 }
        return updates.compactMap { update in
            switch update["_"]?.string {
            case "updateMessageID": update["id"]?.int.map { MessageNumber(chat: chat, id: $0) }
            case "updateNewMessage", "updateNewChannelMessage":
                update["message"].flatMap { $0["out"] == true || $0["post"] == true ? SeenMessage($0)?.number : nil }
            default: nil
            }
        }
    }

    /// Returns a digest of a text, without the characters that Telegram may remove: spaces and controls.
    static func digest(_ text: String?) -> String {
        guard let text else { return "" }
        let kept = text.unicodeScalars.filter {
            !$0.properties.isWhitespace && $0.properties.generalCategory != .control
        }
        return SHA256.hexDigest(Array(String(String.UnicodeScalarView(kept)).utf8))
    }
}

extension SeenMessage {
    /// Returns nil if a `Message` of TL lacks its id or its chat.
    init?(_ message: JSON) {
        guard let id = message["id"]?.int, let chat = message["peer_id"].flatMap({ PeerID(tl: $0)?.botAPI }) else {
            return nil
        }
        self.init(
            chat: chat, number: MessageNumber(chat: chat, id: id),
            digest: SentMessages.digest(message["message"]?.string ?? ""), date: message["date"]?.int ?? 0)
    }
}
