import Accounts
import JSON
import Logging
import TL

/// Passes an account's events to the sequencer, and logs the state of the connection.
struct EventIntake {
    let account: any Account
    let log: Logger

    /// Takes an event, and returns the updates that it makes ready to be emitted.
    ///
    /// - Throws: the failure of a look-up of peers.
    func take(
        _ event: AccountEvent, into sequencer: inout UpdateSequencer, at now: Duration
    ) async throws -> [Emission] {
        switch event {
        case .updates(let updates): return try await take(updates, into: &sequencer, at: now)
        case .gap: sequencer.noteGap(at: now)
        case .waiting(let reason): log.notice("no connection to Telegram: \(reason)")
        case .ready: log.debug("connected to Telegram")
        }
        return []
    }

    private func take(
        _ value: TLValue, into sequencer: inout UpdateSequencer, at now: Duration
    ) async throws -> [Emission] {
        let updates: JSON
        do throws(TLError) {
            updates = try value.json()
        } catch {
            log.warning(
                "unable to read an update of \(value.sizeBytes) bytes: \(error.message); requesting the difference")
            sequencer.noteGap(at: now)
            return []
        }
        var peers = Peers()
        for id in sequencer.mentioned(in: updates) {
            if let peer = try await account.peer(id) { peers.insert(peer) }
        }
        return sequencer.receive(updates, peers: peers, at: now)
    }
}
