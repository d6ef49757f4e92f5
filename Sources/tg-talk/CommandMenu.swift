import BotAPI
import Crypto
import JSON
import Logging
import Redis
import Stage
import Texts

/// Sets the menu of commands that Telegram's apps show: for everybody, and for each admin, in each language.
struct CommandMenu: Sendable {
    private static let userCommands = [
        "vdl", "adl", "img", "stop", "queue", "usage", "prefer", "help", "lang", "whoami",
    ]
    private static let adminCommands = ["bless", "hammer", "grace", "smite"]
    /// Each admin needs a call for each language.
    private static let mostAdmins = 20
    private static let attempts = 5

    let runtime: Runtime
    let api: BotAPI
    let texts: Texts
    let admins: [Int64]

    /// The parameters of all calls. A menu without a language is for those whose language has no menu.
    var calls: [JSONObject] {
        let scopes: [JSON?] =
            [nil]
            + admins.prefix(CommandMenu.mostAdmins).map {
                ["type": "chat", "chat_id": .integer($0)]
            }
        let languages = texts.languages.filter { $0.utf8.count == 2 && $0 != Texts.defaultLanguage }
        return scopes.flatMap { scope in
            ([nil] + languages.map { Optional($0) }).map { language in
                let names = CommandMenu.userCommands + (scope == nil ? [] : CommandMenu.adminCommands)
                let commands = names.map { name -> JSON in
                    ["command": .string(name), "description": .string(texts.text("menu_\(name)", language))]
                }
                return [
                    "commands": .array(commands), "scope": scope, "language_code": language.map { .string($0) },
                ]
            }
        }
    }

    /// Sets the menu unless it is set already. A failure is logged, and the next start tries again.
    func set() async {
        let calls = calls
        let digest = SHA256.hexDigest(JSON.array(calls.map { .object($0) }).bytes)
        let key = RedisArgument.text("tgpipe:{talk}:menu:\(api.speakerID)")
        let known = await attempt { redis throws(RedisError) in try await redis.send("GET", key).string }
        guard known != digest else { return }
        var isComplete = true
        for call in calls where !Task.isCancelled {
            do {
                try await set(call)
            } catch {
                isComplete = false
                // An admin who has not started the bot has no chat with it.
                runtime.log.notice("unable to set a menu of commands: \(error.message)")
                if error.code == .unauthorized { return }
            }
        }
        guard isComplete, !Task.isCancelled else { return }
        runtime.log.info("the menu of commands is set")
        _ = await attempt { redis throws(RedisError) in try await redis.send("SET", key, .text(digest)).string }
    }

    private func set(_ parameters: JSONObject) async throws(TelegramError) {
        for number in 1... {
            do throws(TelegramError) {
                _ = try await api.call("setMyCommands", parameters)
                return
            } catch {
                guard number < CommandMenu.attempts, error.isTransient || error.retryAfter != nil else { throw error }
                let pause = error.retryAfter ?? .seconds(number)
                guard pause <= .seconds(60), (try? await Task.sleep(for: pause)) != nil else { throw error }
            }
        }
    }

    private func attempt(_ call: (Redis) async throws(RedisError) -> String?) async -> String? {
        do { return try await call(try await runtime.redis()) } catch { return nil }
    }
}
