import JSON
import MTProto

extension Login {
    /// How long somebody may take to point a telephone at a screen.
    private static let patience = Duration.seconds(600)
    /// Whether it was done is asked this often, should the word of it be lost.
    private static let interval = Duration.seconds(10)

    /// Shows links for other devices of the account, as QR codes, until one has accepted.
    ///
    /// - Parameter show: `tg://login?token=…`, a new one each time that the one before is over.
    /// - Throws: `AccountError`, `timedOut`, when nobody has.
    package func byQR(show: @escaping @Sendable (String) -> Void) async throws -> Step {
        let events = try await client.events()
        let accepted = Signals()
        return try await running({
            do {
                for try await event in events {
                    if case .updates(let text) = event, Login.isAcceptance(text) { accepted.add() }
                }
            } catch {}
        }) {
            try await poll(accepted, show)
        }
    }

    private static func isAcceptance(_ text: [UInt8]) -> Bool {
        (try? JSON(parsing: text))?["update"]?["_"]?.string == "updateLoginToken"
    }

    private func poll(_ accepted: Signals, _ show: @Sendable (String) -> Void) async throws -> Step {
        let end = ContinuousClock.now + Login.patience
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
                throw AccountError(.unexpectedAnswer, "Telegram gives no token to log in with")
            }
            let link = "tg://login?token=\(Base64.encodeForURLs(token, isPadded: false))"
            if link != shown { show(link) }
            shown = link
            await accepted.wait(atMost: Login.interval)
        }
        throw AccountError(.timedOut, "nobody has accepted the QR code within \(Login.patience.components.seconds) s")
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

/// That something has happened, for one who waits.
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
