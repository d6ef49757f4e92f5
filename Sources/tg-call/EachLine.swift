import Accounts
import JSON
import Stage
import System

/// `--each`: a call for each line of standard input, and a line for each call.
extension Caller {
    /// Calls what the lines say, in their order.
    ///
    /// - Returns: how the first call ended that did not succeed.
    /// - Throws: what makes further calls useless.
    func callEach(of input: EventInput, as account: any Account) async throws -> ExitStatus {
        var status = ExitStatus.success
        while let read = try await input.next() {
            for line in CallInput.lines(read) {
                guard let ended = try await answer(to: line, as: account) else { throw CancellationError() }
                if status == .success { status = ended }
                if Caller.isFinal(ended) { return ended }
            }
        }
        return status
    }

    private static func isFinal(_ status: ExitStatus) -> Bool {
        [.authenticationRefused, .protocolBroken, .configuration].contains(status)
    }

    /// Writes one line.
    ///
    /// - Returns: nil when the shutdown cut the call short.
    private func answer(to line: Line?, as account: any Account) async throws -> ExitStatus? {
        var id: JSON?
        var method: String?
        do {
            guard let line else { throw CallInput.tooLong }
            let request = try CallInput.object(line.bytes, "the line")
            id = request["id"]
            let order = try CallOrder(request)
            method = order.method
            guard let result = try await answer(order.method, order.parameters, account) else { return nil }
            let start = id.map { Array(#"{"id":"#.utf8) + $0.bytes + Array(",".utf8) } ?? Array("{".utf8)
            try await output.write(start + Array(#""result":"#.utf8) + result + Array("}\n".utf8))
            return .success
        } catch let error as any ReportableError {
            let object: JSONObject = ["id": id, "error": .object(Caller.told(error, of: method))]
            try await output.write(JSON.object(object).bytes + [UInt8(ascii: "\n")])
            return error.exitStatus
        }
    }
}
