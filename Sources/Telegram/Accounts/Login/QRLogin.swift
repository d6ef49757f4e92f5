import JSON
import MTProto
import TL

extension Login {
    /// The time in which the user must scan the code.
    private static let timeout = Duration.seconds(600)
    /// The pause between two checks. Telegram also sends an update when a device accepts, but that can be lost.
    private static let interval = Duration.seconds(10)

    /// Logs in by QR code: shows login links until another device of the account has accepted one.
    ///
    /// - Parameter show: shows a link, `tg://login?token=…`; called again with each new link when the previous one
    ///   expires.
    /// - Throws: `AccountError`, `timedOut`, if no device has accepted in time.
    package func byQR(show: @escaping @Sendable (String) -> Void) async throws -> Step {
        let events = try await client.events()
        let accepted = Signals()
        return try await running({
            do {
                for try await event in events {
                    if case .updates(let updates) = event, Login.isAcceptance(updates) { accepted.add() }
                }
            } catch {}
        }) {
            try await poll(accepted, show)
        }
    }

    private static func isAcceptance(_ updates: TLValue) -> Bool {
        (try? updates.json())?["update"]?["_"]?.string == "updateLoginToken"
    }

    private func poll(_ accepted: Signals, _ show: @Sendable (String) -> Void) async throws -> Step {
        let end = ContinuousClock.now + Login.timeout
        var shown = ""
        while ContinuousClock.now < end {
            let answer: JSON
            do {
                answer = try await token()
            } catch let error as TelegramRPCError where error.name == "SESSION_PASSWORD_NEEDED" {
                return .passwordNeeded
            } catch let error as TelegramRPCError {
                throw LoginRefusal.explained(error)
            }
            if let authorization = answer["authorization"] { return .done(try await owner(authorization)) }
            guard let token = answer["token"]?.string.flatMap({ Base64.decode($0) }) else {
                throw AccountError(.unexpectedAnswer, "Telegram's answer contains no login token")
            }
            let link = "tg://login?token=\(Base64.encodeForURLs(token, isPadded: false))"
            if link != shown { show(link) }
            shown = link
            await accepted.wait(atMost: Login.interval)
        }
        throw AccountError(
            .timedOut, "no device has accepted the QR code within \(Login.timeout.components.seconds) s: try again")
    }

    private func token() async throws -> JSON {
        let answer = try await client.ask(
            "auth.exportLoginToken", ["api_id": apiID, "api_hash": apiHash, "except_ids": .array([])])
        guard answer["_"]?.string == "auth.loginTokenMigrateTo", let place = answer["dc_id"]?.int,
            let token = answer["token"], (1...1000).contains(place)
        else { return answer }
        try await client.links.moveHome(to: Int(place), isLoggedIn: false)
        return try await client.ask("auth.importLoginToken", ["token": token])
    }
}

/// Wakes one waiter.
private final class Signals: Sendable {
    private let stream: AsyncStream<Void>
    private let adding: AsyncStream<Void>.Continuation

    init() { (stream, adding) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1)) }

    func add() { adding.yield() }

    func wait(atMost limit: Duration) async {
        await first {
            for await _ in self.stream { break }
        } or: {
            try? await Task.sleep(for: limit)
        }
    }
}
