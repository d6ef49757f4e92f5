import AccountAPI
import Blob
import BotAPI
import Glibc
import HTTP
import JSON
import Options
import Process
import Queue
import Redis
import Stage
import Synchronization
import System

/// Checks Redis and those of its settings that could lose queues.
struct RedisCheck {
    let runtime: Runtime

    func findings() async -> [Finding] {
        guard runtime.hasRedis else {
            guard Command("redis-server", []).executable != nil else {
                return [.error(.redis, "redis-server is not installed", "Install the package redis-server.")]
            }
            return [.ok(.redis, "a private server starts when a tool needs it")]
        }
        do {
            let redis = try await runtime.redis()
            let servers = try await redis.sendEverywhere("INFO").map { RedisFacts(info: $0.string ?? "") }
            return RedisFacts.findings(servers)
        } catch {
            return [
                .failed(
                    .redis, error,
                    "Start it, or correct TGPIPE_REDIS: unix:/path or redis://host:port (docs/redis.md has more forms). Without TGPIPE_REDIS, the tools"
                        + " start a private server.")
            ]
        }
    }
}

extension RedisFacts {
    /// Returns what there is to tell about the server, or about all nodes of a cluster.
    fileprivate static func findings(_ servers: [RedisFacts]) -> [Finding] {
        var findings: [Finding] = []
        for server in servers where !findings.contains(where: { $0.message == server.own.message }) {
            findings.append(server.own)
        }
        return findings
            + risks(of: servers).map {
                .warning(.redis, $0.message, "\($0.advice.prefix(1).uppercased())\($0.advice.dropFirst()).")
            }
    }

    private var own: Finding {
        isOlder(than: 6, 2)
            ? .error(.redis, "the server is Redis \(version), which is too old", "Install Redis 6.2 or later.")
            : .ok(.redis, "version \(version)")
    }
}

/// Looks for queues that lack one of their ends, and for dead letters.
struct QueueCheck {
    let runtime: Runtime

    func findings() async -> [Finding] {
        // Without Redis there are no queues, and the check of Redis tells of its faults.
        guard runtime.hasRedis, let redis = try? await runtime.redis() else { return [] }
        do {
            let users = try await QueueUsers.read(redis)
            let queues = try await QueueAdmin.all(redis)
            var findings: [Finding] = []
            for queue in queues {
                let admin = QueueAdmin(queue, redis: redis)
                let stats = try await admin.stats()
                let warning = users.warning(of: queue, events: stats.events, wasUsed: try await admin.wasUsed)
                if let warning {
                    findings.append(
                        .warning(.queues, warning, "Start that stage, or correct the name: 'ev-queue list' lists all."))
                }
                guard stats.dead > 0 else { continue }
                findings.append(
                    .warning(
                        .queues, "\(queue) has \(stats.dead == 1 ? "one dead letter" : "\(stats.dead) dead letters")",
                        "'ev-queue peek \(queue.text) --dead' shows why."))
            }
            return findings.isEmpty
                ? [.ok(.queues, queues.count == 1 ? "one queue" : "\(queues.count) queues")] : findings
        } catch {
            return [.failed(.queues, error, "'ev-queue stats' tells more.")]
        }
    }
}

/// Stores an object, reads it back, makes a link to it, and removes it.
struct StoreCheck {
    let storing: StoreOptions
    let common: CommonOptions
    let runtime: Runtime

    func findings() async -> [Finding] {
        do {
            let store = try storing.open(common)
            return try await findings(of: store)
        } catch {
            return [
                .failed(
                    .store, error,
                    "Check TGPIPE_STORE, and for S3 the endpoint, region, keys and rights (read, write, delete).")
            ]
        }
    }

    private func findings(of store: any BlobStore) async throws -> [Finding] {
        let folder = try runtime.directory("doctor")
        defer { removeTree(folder) }
        let key = "tgpipe-doctor/\(UInt64.random(in: 0 ... .max))"
        let content = "tgpipe doctor \(Timestamp.now)"
        do throws(SystemError) {
            try AtomicFile.replace("\(folder)/put", with: Array(content.utf8), durability: .process)
        } catch {
            throw ToolError.localIO("unable to write to \(folder)", errno: error.number)
        }
        let source = try LocalFile(path: "\(folder)/put")
        _ = try await store.put(
            source, key: key, metadata: BlobMetadata(contentType: "text/plain"), sha256: nil, ifAbsent: false,
            onProgress: nil)
        let readable: Finding
        do {
            _ = try await store.get(key, to: "\(folder)/get")
            readable = await link(store, key, content)
        } catch {
            try? await store.delete(key)
            throw error
        }
        try await store.delete(key)
        return [.ok(.store, "\(store.name): written, read and removed"), readable]
    }

    /// Reads the object by its link, as a user would.
    private func link(_ store: any BlobStore, _ key: String, _ content: String) async -> Finding {
        do {
            let link = try store.presignedURL(key, expires: .seconds(60), contentType: nil, fileName: nil)
            guard let link else {
                return .ok(
                    .store, "a folder has no links, so files that are too large for Telegram cannot be delivered")
            }
            var request = HTTPRequest("GET", link)
            request.deadline = .seconds(20)
            let answer = try await HTTPClient(userAgent: "tgpipe/\(tgpipeVersion)").send(request)
            guard answer.head.status == 200, answer.body == Array(content.utf8) else {
                return .warning(
                    .store, "a link to an object is answered with status \(answer.head.status)",
                    "Check TGPIPE_S3_PUBLIC_ENDPOINT and TGPIPE_S3_ADDRESSING.")
            }
            return .ok(.store, "links work")
        } catch {
            let message = (error as? any ReportableError)?.message ?? "\(error)"
            return .warning(
                .store, "a link to an object does not work from here: \(message)",
                "Check TGPIPE_S3_PUBLIC_ENDPOINT: users must be able to reach it.")
        }
    }
}

/// Asks Telegram who the bot or account is.
struct TelegramCheck {
    let speaker: SpeakerOptions
    let runtime: Runtime

    func findings() async -> [Finding] {
        do {
            let findings = try await speaker.withAPIIfConfigured(runtime) { api -> [Finding]? in
                guard let api else { return nil }
                var findings = [TelegramCheck.description(of: try await api.call("getMe"))]
                if let bot = api as? BotAPI {
                    findings += TelegramCheck.judge(webhook: try await bot.call("getWebhookInfo"))
                }
                return findings
            }
            return findings ?? [
                .error(
                    .telegram, "neither a bot token nor a session is set",
                    "Set TG_BOT_TOKEN (write /newbot to @BotFather), or TGPIPE_SESSION after 'tg-session login NAME'.")
            ]
        } catch {
            return [.failed(.telegram, error, TelegramCheck.advice(for: error, isAccount: speaker.isAccount))]
        }
    }

    /// A server that cannot be reached has not seen the token.
    static func advice(for error: any Error, isAccount: Bool) -> String {
        if (error as? any ReportableError)?.exitStatus == .unavailable {
            let variable = isAccount ? "TG_PROXY" : "TG_BOT_API_URL"
            return "Check the network, the proxy if there is one, and \(variable) if it is set."
        }
        return isAccount
            ? "'tg-session status' tells more; 'tg-session login NAME' logs in again."
            : "Check TG_BOT_TOKEN: @BotFather shows it after /mybots."
    }

    static func description(of me: JSON) -> Finding {
        let name = me["username"]?.string.map { "@\($0)" } ?? me["first_name"]?.string ?? "a user without a name"
        let isBot = me["is_bot"] == true
        guard isBot, me["can_read_all_group_messages"] == false else {
            return .ok(.telegram, "\(isBot ? "the bot" : "the account") \(name)")
        }
        return .ok(
            .telegram,
            "the bot \(name); in groups it sees no messages such as .vdl before you send /setprivacy to @BotFather")
    }

    static func judge(webhook: JSON) -> [Finding] {
        guard let url = webhook["url"]?.string, !url.isEmpty else { return [] }
        let host = WebURL(url)?.host ?? "another server"
        return [
            .error(
                .telegram, "the bot's updates go to a webhook at \(host)",
                "Remove it by the method deleteWebhook of the Bot API; then tg-listen gets the updates.")
        ]
    }
}

/// Collects lines on any thread.
final class LineCollector: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func add(_ line: String) { lines.withLock { $0.append(line) } }
}
