import System
import Glibc

/// Prepares a new connection: logs in, selects the database, sets the client's name, and waits until the server has loaded its data.
struct Greeting {
    let address: RedisAddress
    let clientName: String

    func perform(over link: Link, until deadline: Deadline, waiter: PollWaiter) throws(RedisError) {
        if let login {
            let reply = try link.exchange(CommandBatch([login]), until: deadline, waiter: waiter)[0]
            if case .error(let text) = reply { throw refused(text) }
        }
        if address.database != 0 {
            let select = CommandBatch([["SELECT", .integer(Int64(address.database))]])
            let reply = try link.exchange(select, until: deadline, waiter: waiter)[0]
            if case .error(let text) = reply { throw RedisError(reply: text, from: address) }
        }
        // A server may forbid the command CLIENT to this user; nothing depends on the name.
        let name = CommandBatch([["CLIENT", "SETNAME", .text(printableName)]])
        _ = try link.exchange(name, until: deadline, waiter: waiter)
        try waitUntilLoaded(link, until: deadline, waiter: waiter)
    }

    private var login: [RedisArgument]? {
        address.login.map { login in ["AUTH"] + (login.user.map { [.text($0)] } ?? []) + [.text(login.password)] }
    }

    private func refused(_ text: String) -> RedisError {
        RedisError(.authentication, "Redis at \(address) refused the user or password: \(text.printable(atMost: 300))")
    }

    private func waitUntilLoaded(_ link: Link, until deadline: Deadline, waiter: PollWaiter) throws(RedisError) {
        while true {
            guard
                case .error(let text) = try link.exchange(CommandBatch([["PING"]]), until: deadline, waiter: waiter)[0]
            else { return }
            let error = RedisError(reply: text, from: address)
            // A user without permission for PING may still use other commands.
            if text.hasPrefix("NOPERM") { return }
            guard error.code == .loading, !deadline.hasPassed else { throw error }
            let pause = min(deadline, .after(.milliseconds(50)))
            if waiter.waitThrough(for: 0, on: -1, until: pause) == .stopped { throw error }
        }
    }

    /// The name in the form that Redis accepts: printable ASCII without spaces.
    private var printableName: String {
        String(String.UnicodeScalarView(clientName.unicodeScalars.map { (33...126).contains($0.value) ? $0 : "-" }))
    }
}
