import BotAPI
import ChatCommands
import Envelope
import Glibc
import HTTP
import JSON
import Logging
import Media
import Payloads
import Redis
import Stage
import Synchronization
import System
import Texts

/// Stores, lists and removes the cookies of sites for admins, and tells them when a site refuses its cookies.
///
/// A file of cookies is a login. It comes from Telegram to this process, which writes it where the file of sites says; events hold
/// nothing of it but its file_id.
final class CookieKeeping: Sendable {
    /// Admins are told about a site this often at most, in seconds.
    private static let toldAgainAfter: Int64 = 86_400
    /// The most hosts that an answer names.
    private static let mostHosts = 8

    private let runtime: Runtime
    private let sites: Sites
    private let cookies: SiteCookies
    private let texts: Texts
    private let admins: [Int64]
    private let api: (any MessagingAPI)?
    private let folder: String
    /// The days on which admins were told about a site, if there is no Redis to keep them.
    private let told = Mutex<[String: Substring]>([:])

    /// - Parameters:
    ///   - api: fetches the files of messages; nil without a bot token or a session.
    ///   - folder: a folder that only this tool uses.
    init(
        _ runtime: Runtime, sites: Sites, texts: Texts, admins: [Int64], api: (any MessagingAPI)?, folder: String
    ) {
        (self.runtime, self.sites, self.texts, self.admins) = (runtime, sites, texts, admins)
        (self.api, self.folder) = (api, folder)
        cookies = SiteCookies(sites)
    }

    // MARK: Commands

    /// Carries out a command of an admin.
    ///
    /// - Returns: the answer, and the command that deletes the message with the file.
    /// - Throws: `MalformedInput` for a malformed command.
    func take(_ event: Envelope) async throws -> [Envelope] {
        let action = try MediaCookies(event).action
        let language = event.actor?.language
        guard event.role == "admin" else { return [answer("access_only_admin", language)] }
        var events: [Envelope] = []
        if case .store(_, let message?) = action {
            events = [.derived(TelegramCommand(.delete(messageID: message)))]
        }
        guard event.origin?.chatType == "private" else {
            let keys = ["cookies_private_only"] + (events.isEmpty ? [] : ["cookies_delete"])
            return [said(keys.map { texts.text($0, language) }.joined(separator: "\n"))] + events
        }
        // The message is deleted in any case: even a file that is refused is a login.
        let note = events.isEmpty ? "" : "\n\(texts.text("cookies_deleting", language))"
        do {
            return [said(try await carryOut(action, language) + note)] + events
        } catch let refusal as SiteCookies.Refusal {
            return [said(text(of: refusal, language) + note)] + events
        }
    }

    private func carryOut(_ action: MediaCookies.Action, _ language: String?) async throws -> String {
        guard !cookies.names.isEmpty else { return texts.text("cookies_off", language) }
        switch action {
        case .list:
            let summaries = try await onThread { $0.summaries() }
            return list(summaries, language)
        case .forget(let site):
            let names = try await onThread { try $0.forget(site) }
            guard !names.isEmpty else {
                return texts.text("cookies_no_site", language, ["site": .text(site.printable), "sites": siteNames])
            }
            runtime.log.notice("an admin has removed cookies", metadata: ["sites": "\(names.joined(separator: " "))"])
            return texts.text("cookies_forgotten", language, ["site": .text(names.joined(separator: ", "))])
        case .store(let file, _):
            let bytes = try await bytes(of: file)
            let names = try await onThread { try $0.store(bytes) }
            runtime.log.notice("an admin has stored cookies", metadata: ["sites": "\(names.joined(separator: " "))"])
            // A new refusal is told at once.
            for name in names { await forgetTold(name) }
            return texts.text("cookies_stored", language, ["sites": .text(names.joined(separator: ", "))])
        }
    }

    private var siteNames: TextValue { .text(cookies.names.joined(separator: ", ")) }

    /// Reads or writes files of cookies on a thread that may block.
    private func onThread<Value: Sendable>(
        _ work: @escaping @Sendable (SiteCookies) throws -> Value
    ) async throws -> Value {
        try await BlockingThread().run { [cookies] in try work(cookies) }
    }

    private func list(_ summaries: [SiteCookies.Summary], _ language: String?) -> String {
        let lines = summaries.map { summary in
            guard summary.count > 0 else {
                return texts.text("cookies_entry_none", language, ["site": .text(summary.site)])
            }
            let expiry = summary.expiry.map { days in
                days.lowerBound == days.upperBound ? days.lowerBound : "\(days.lowerBound) … \(days.upperBound)"
            }
            return texts.text(
                "cookies_entry", language,
                [
                    "site": .text(summary.site), "count": .number(Int64(summary.count)),
                    "age": .text(texts.time(summary.age.components.seconds, language)),
                    "expiry": .text(expiry ?? "–"),
                ])
        }
        let usage = texts.text("cookies_usage", language, ["command": .text(".cookies")])
        return ([texts.text("cookies_list", language)] + lines + ["", usage]).joined(separator: "\n")
    }

    private func text(of refusal: SiteCookies.Refusal, _ language: String?) -> String {
        switch refusal {
        case .notNetscape(let line): return texts.text("cookies_format", language, ["line": .number(Int64(line))])
        case .empty: return texts.text("cookies_empty", language)
        case .expired(let site): return texts.text("cookies_expired", language, ["site": .text(site)])
        case .foreign(let hosts):
            let more = hosts.count > CookieKeeping.mostHosts ? ", …" : ""
            let names = hosts.prefix(CookieKeeping.mostHosts).map { String($0.prefix(100)).printable }
            return texts.text(
                "cookies_foreign", language,
                ["hosts": .text(names.joined(separator: ", ") + more), "sites": siteNames])
        case .failed(let error): return texts.text("cookies_failed", language, ["reason": .text(error.reason)])
        }
    }

    private func answer(_ key: String, _ language: String?) -> Envelope { said(texts.text(key, language)) }

    private func said(_ text: String) -> Envelope { .derived(TelegramCommand(.reply(TextMessage(text)))) }

    // MARK: The file

    /// Returns the bytes of a file of a message. None of them stays on the disk.
    private func bytes(of file: TelegramFile) async throws(SiteCookies.Refusal) -> [UInt8] {
        guard let api else { throw .failed(MediaError(.unsupported, "Files of messages cannot be fetched here.")) }
        let limit = SiteCookies.maxBytes
        do {
            let (source, size) = try await api.file(file.id)
            guard max(file.sizeBytes ?? 0, size ?? 0) <= Int64(limit) else {
                throw SiteCookies.Refusal.failed(.tooLarge(bytes: nil, maxBytes: Int64(limit)))
            }
            switch source {
            case .url(let url):
                var request = HTTPRequest("GET", url)
                request.maxBodyBytes = limit
                request.deadline = .seconds(60)
                let answer = try await HTTPClient(userAgent: "tgpipe/\(tgpipeVersion)").send(request)
                guard (200..<300).contains(answer.status) else {
                    throw SiteCookies.Refusal.failed(
                        MediaError(.unreachable, "Telegram did not deliver the file (\(answer.status))."))
                }
                return answer.body
            case .path(let path): return try CookieKeeping.read(path)
            case .download(let download):
                let path = "\(folder)/cookies-\(String(UInt64.random(in: 0...(.max)), radix: 16))"
                defer { for path in [path, path + ".part"] { unlink(path) } }
                try await download(path) { _ in }
                return try CookieKeeping.read(path)
            }
        } catch let refusal as SiteCookies.Refusal {
            throw refusal
        } catch let error as TelegramError {
            throw .failed(MediaError(.unreachable, "Telegram did not deliver the file: \(error.message)."))
        } catch let error as HTTPError {
            throw .failed(MediaError(.unreachable, "Telegram did not deliver the file: \(error.message)."))
        } catch {
            throw .failed(MediaError(.localIO, "Something failed on my side."))
        }
    }

    private static func read(_ path: String) throws(SiteCookies.Refusal) -> [UInt8] {
        guard let bytes = SiteCookies.bytes(path) else {
            throw .failed(MediaError(.localIO, "The file cannot be read."))
        }
        return bytes
    }

    // MARK: Refused cookies

    /// Returns messages to the admins if a site wants a login although it got its cookies, at most once a day for each site.
    func notices(of error: MediaError) async -> [Envelope] {
        guard error.code == .loginRequired, !admins.isEmpty, let name = error.refusedCookiesOf, let site = sites[name],
            site.cookiesFile != nil
        else { return [] }
        let summaries = (try? await onThread { $0.summaries() }) ?? []
        guard summaries.contains(where: { $0.site == site.name && $0.count > 0 }), await isNews(site.name) else {
            return []
        }
        runtime.log.warning("a site does not accept its cookies any more", metadata: ["site": "\(site.name)"])
        var events: [Envelope] = []
        for admin in admins {
            let language = await runtime.redisIfThere { redis throws(RedisError) in
                try await redis.send("GET", .text(UserSettings.languageKey(of: admin))).string
            }
            let text = texts.text(
                "cookies_told", language ?? nil, ["site": .text(site.name), "command": .text(".cookies")])
            events.append(.derived(TelegramCommand(.send(TextMessage(text)), chat: .id(admin))))
        }
        return events
    }

    private static func key(_ site: String) -> RedisArgument { .text("tgpipe:{cookies}:told:\(site)") }

    /// Notes that admins are told about a site now, and returns whether they were not told today.
    private func isNews(_ site: String) async -> Bool {
        let isNew = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send(
                "SET", CookieKeeping.key(site), "1", "NX", "EX", .integer(CookieKeeping.toldAgainAfter)
            ).string == "OK"
        }
        if let isNew { return isNew }
        let today = Timestamp.now.description.prefix(10)
        return told.withLock { $0.updateValue(today, forKey: site) != today }
    }

    private func forgetTold(_ site: String) async {
        told.withLock { _ = $0.removeValue(forKey: site) }
        _ = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send("DEL", CookieKeeping.key(site))
        }
    }
}
